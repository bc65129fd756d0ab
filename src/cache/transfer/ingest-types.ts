import type { Digest, OpenBlobOptions, OriginBlob, Repository } from '../../oci/index.ts';
import type { Ingestion } from '../../store/index.ts';
import type { Keeping } from './partial/index.ts';
import type { Extent, SegmentSlots, SplitPolicy, UpstreamShare } from './segments/index.ts';

/** What a transfer needs of the rooms around it. `Subject` is the transfer. */
export interface IngestEnvironment<Subject> {
  /** Opens the blob's body at an offset; rejects with an OriginFailure. */
  readonly open: (options: OpenBlobOptions) => Promise<OriginBlob>;
  /** Names of the upstreams that may be asked for it now, in order; see `Origin.upstreamsOf`. @default that is not known */
  readonly upstreams?: () => readonly string[];
  /** Starts the file that grows. */
  readonly begin: () => Promise<Ingestion>;
  /** What keeps the file for the next transfer where this one ends early, and then begins it. @default nothing does */
  readonly keeping?: Keeping | undefined;
  /** Publishes the verified file; a rejection costs the caching, never the transfer. */
  readonly publish: (file: Ingestion, content: IngestContent) => Promise<void>;
  /** Asked when the file is whole: false where too many wait to be published. @default always */
  readonly mayPublish?: () => boolean;
  /** Resolves when the capacity has decided whether this blob is stored; awaited before the file is published. Must not reject. */
  readonly decided?: () => Promise<void>;
  /** Whether it may go on although the last follower has left. @default always */
  readonly mayContinue?: () => boolean;
  readonly observer: IngestObserver<Subject>;
}

/** What a download needs of its transfer. */
export interface DownloadEnvironment extends Pick<IngestEnvironment<unknown>, 'open' | 'begin' | 'keeping'> {
  /** See {@link IngestEnvironment.upstreams}; empty where that is not known. */
  readonly upstreams: () => readonly string[];
  /** The transfer goes on with so many bytes that an earlier one has left. */
  readonly continued: (bytes: number) => void;
  /** The upstream has answered, and the head of the blob is known. */
  readonly opened: () => void;
  /** A body broke off, and is continued. */
  readonly resumed: (reason: string) => void;
  /** Upstreams had sent other bytes than the digest says; these were fetched again from the one that is trusted most. */
  readonly corrected: (liars: string, trusted: string) => void;
  /** The disk refused the bytes. */
  readonly refused: (error: unknown) => void;
}

/** How a transfer may fetch several parts of its blob at once. */
export interface Splitting {
  /** For an upstream, by its name. */
  readonly policy: (upstream: string) => SplitPolicy;
  readonly slots: SegmentSlots;
}

/** What several connections do for a transfer. */
export interface SplitFigures {
  /** The most that it used at once. */
  readonly connections: number;
  /** How much faster it was at best than with one; undefined where that is not known. */
  readonly gain: number | undefined;
  /** What each upstream does, in the order of their first bytes. Empty where there is one connection. */
  readonly upstreams: readonly UpstreamShare[];
}

/** The content of a whole file. */
export interface IngestContent {
  readonly digest: Digest;
  readonly size: number;
}

/** Hears the events of a transfer. Must not throw. */
export interface IngestObserver<Subject> {
  opened(ingest: Subject): void;
  resumed(ingest: Subject, reason: string): void;
  /** Upstreams had sent other bytes than the digest says; these were fetched again from the one that is trusted most. */
  corrected?(ingest: Subject, liars: string, trusted: string): void;
  /** It goes on with so many bytes that an earlier one has left. */
  continued?(ingest: Subject, bytes: number): void;
  /** The disk refused a write or the publishing; the transfer itself goes on. */
  refused?(ingest: Subject, error: unknown): void;
  settled(ingest: Subject, outcome: IngestOutcome, error: Error | undefined): void;
}

export type IngestOutcome = 'committed' | 'streamed' | 'aborted' | 'failed';

export interface IngestOptions {
  readonly repository: Repository;
  /**
   * Undefined for content fetched by URL: any complete body is accepted, and `open` guarantees that a continued body is of
   * the same version.
   */
  readonly digest: Digest | undefined;
  /** Size in bytes by the manifest that names the blob: an upstream that gives another is refused. */
  readonly expectedSize: number | undefined;
  /** False: the bytes are delivered to the followers and not kept. */
  readonly keep: boolean;
  /**
   * What is not kept is passed on to a single follower without a file, while that keeps up. Others that come after the first bytes
   * are dropped cannot follow it: see {@link Ingest.isWhole}. @default false
   */
  readonly passesOn?: boolean;
  /** The id of the request that started it, where a client sent one. */
  readonly request?: string | undefined;
  /** Undefined: one body is read from front to back. */
  readonly splitting?: Splitting | undefined;
}

/** What of a transfer is downloaded. */
export interface DownloadOptions extends Pick<IngestOptions, 'digest' | 'expectedSize' | 'splitting'> {
  readonly registry: string;
  /** See {@link IngestOptions.passesOn}. */
  readonly passesOn: boolean;
}

/** The followers of a download. */
export interface Audience {
  /** Where the one follower is; undefined where there is none, or more than one. */
  readonly position: number | undefined;
  /** More bytes can be read, or nothing more comes. */
  notify(): void;
  /** Bytes have come ahead of the front, or will not come. */
  notifyAhead(): void;
  /** Ends those that have read any of some spans: what they read was wrong. */
  cut(spans: readonly Extent[], error: Error): void;
  /** Resolves when a follower has read, come or left, or after so many milliseconds. */
  moved(milliseconds: number): Promise<void>;
}
