import type { Digest, Reference, Repository } from '../oci/index.ts';
import type { CopiedManifest, CopySource, OpenedBlob } from './source.ts';

/** A blob on its way. */
export interface BlobToSend {
  readonly digest: Digest;
  /** Bytes by the manifest that names it; undefined where it does not say. */
  readonly size: number | undefined;
  readonly source: CopySource;
  /** Opens its bytes, once, where they have to be sent. */
  readonly open: () => Promise<OpenedBlob>;
  /** Told how many bytes more were sent. */
  readonly onBytes: (count: number) => void;
  readonly signal: AbortSignal;
}

/** A manifest that refers to another one, as a list of referrers gives it. */
export interface Referrer {
  readonly mediaType: string;
  readonly digest: Digest;
  readonly size: number;
  readonly artifactType?: string;
  readonly annotations?: Readonly<Record<string, string>>;
}

/** The repository that is copied to. Every method rejects as those of {@link CopySource}, or with a `TaskError` where it refuses. */
export interface CopyDestination {
  readonly repository: Repository;
  /** The registry whose connections it uses; undefined where it is this server. */
  readonly registry: string | undefined;
  hasBlob(digest: Digest, size: number | undefined, signal: AbortSignal): Promise<boolean>;
  /** What a reference points to; undefined: nothing. */
  find(reference: Reference, signal: AbortSignal): Promise<Digest | undefined>;
  /** Mounts a blob where it can, else sends it. */
  sendBlob(blob: BlobToSend): Promise<'mounted' | 'sent'>;
  putManifest(reference: Reference, manifest: CopiedManifest, signal: AbortSignal): Promise<void>;
  /** Sees to it that referrers which are there are also listed. @returns bytes that were sent for it */
  listReferrers(subject: Digest, referrers: readonly Referrer[], signal: AbortSignal): Promise<number>;
}
