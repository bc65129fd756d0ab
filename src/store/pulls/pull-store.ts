/** How a pull ended, the worst first. */
export type PullOutcome = 'failed' | 'refused' | 'stale' | 'miss' | 'hit';

/** One request to an upstream. */
export interface AskedUpstream {
  readonly upstream: string;
  /** `api`, `blob`, `token` or `redirect`. */
  readonly purpose: string;
  readonly method: string;
  /** Without its query. */
  readonly url: string;
  /** 0 where no response came. */
  readonly status: number;
  /** Milliseconds from the start of the request of the client to the end of this one. */
  readonly afterMs: number;
  readonly durationMs: number;
  readonly error?: string;
}

/** One request of a client, for a manifest or blob. Durations are milliseconds. */
export interface RecordedRequest {
  readonly id: string;
  /** Milliseconds since the epoch. */
  readonly at: number;
  readonly method: string;
  readonly kind: 'manifest' | 'blob';
  /** A tag or a digest. */
  readonly reference: string;
  /** 0 where the connection was lost before a response, or the request still runs. */
  readonly status: number;
  readonly running?: true;
  readonly cache?: string;
  readonly reason?: string;
  readonly upstream?: string;
  /** Body bytes sent to the client. */
  readonly bytes: number;
  readonly size?: number;
  readonly slotMs?: number;
  readonly gateMs?: number;
  readonly firstByteMs?: number;
  readonly totalMs: number;
  readonly error?: string;
  readonly asked: readonly AskedUpstream[];
}

/** One pull, without its requests. */
export interface PullSummary {
  /** Of its first request. */
  readonly id: string;
  /** When it began. Milliseconds since the epoch. */
  readonly at: number;
  readonly running?: true;
  readonly registry: string;
  readonly repository: string;
  /** What was asked for first: a tag or a digest. */
  readonly reference: string;
  /** An address; empty for a Unix socket. */
  readonly client: string;
  readonly user?: string;
  readonly userAgent?: string;
  readonly namedBy?: string;
  readonly outcome: PullOutcome;
  readonly requests: number;
  readonly hits: number;
  /** Body bytes sent to the client. */
  readonly bytes: number;
  readonly size?: number;
  /** Body bytes that upstreams sent because of it. */
  readonly fetched: number;
  readonly durationMs: number;
}

/** One pull: the requests of one client for one repository, with no long pause between them. */
export interface PullRecord extends PullSummary {
  /** As the configuration names it: `access.rules[0]`. */
  readonly rule?: string;
  readonly verdict?: string;
  /** In the order of their start. */
  readonly requestList: readonly RecordedRequest[];
  /** Requests that are counted and not listed. */
  readonly omitted: number;
}

/** Where a list of pulls goes on: behind this pull. */
export type PullPosition = Pick<PullSummary, 'at' | 'id'>;

export interface PullFilter {
  /** Words of the image's name, in lower case: each must be in it. @default every pull */
  readonly image?: readonly string[] | undefined;
  /** Words of the address, the user or the user agent, in lower case: each must be in one of them. @default every pull */
  readonly client?: readonly string[] | undefined;
  /** @default every outcome */
  readonly outcome?: PullOutcome | undefined;
}

/** What pulls did. Bytes are those of bodies. */
export interface FigureSums {
  readonly pulls: number;
  /** Requests that were answered. */
  readonly requests: number;
  /** Of these, answered by what this server had. */
  readonly hits: number;
  /** Of these, failed: 5xx, or cut by this server. */
  readonly failed: number;
  readonly bytes: number;
  readonly fetched: number;
}

export const NO_SUMS: FigureSums = { pulls: 0, requests: 0, hits: 0, failed: 0, bytes: 0, fetched: 0 };

/** A repository in one hour or day. Empty names: requests that count for no repository. */
export interface FigureKey {
  /** When the hour began, or the day in UTC once it is older than three days. Milliseconds since the epoch. */
  readonly period: number;
  readonly registry: string;
  readonly repository: string;
}

/** What pulls of a repository did in one hour or day. */
export interface Figure extends FigureKey, FigureSums {}

/** The last pull of a tag. An empty tag: by a digest. */
export interface LastPull {
  readonly registry: string;
  readonly repository: string;
  readonly tag: string;
  /** Milliseconds since the epoch. */
  readonly at: number;
  /** The user or, without one, the address of the client. */
  readonly by: string;
}

export interface PullLimits {
  /** Pulls that are kept. */
  readonly pulls: number;
  /** Of these, refused ones, which a client without any right can cause. */
  readonly refused: number;
  /** Bytes of their requests, as JSON. */
  readonly bytes: number;
  /** Rows of figures. */
  readonly figures: number;
  /** Rows of last pulls. */
  readonly lastPulls: number;
  /** Milliseconds that a row of figures is kept. */
  readonly age: number;
}

const HOUR = 3_600_000;
export const DAY = 24 * HOUR;

export const PULL_LIMITS: PullLimits = {
  pulls: 10_000,
  refused: 2000,
  bytes: 32 * 1024 * 1024,
  figures: 250_000,
  lastPulls: 50_000,
  age: 400 * DAY,
};

/** How long a row of figures is that of an hour, before it is added to that of its day. */
export const HOURLY_FOR = 3 * DAY;

/**
 * The record of pulls. Each operation is a whole. Its rows are bounded, the oldest go first, and all of them may be lost: no
 * pull depends on them.
 */
export interface PullStore {
  /** When this store was begun; milliseconds since the epoch. */
  readonly since: number;
  /**
   * Adds figures to those of their keys, and notes last pulls: all of them or, where it rejects, none. The caller batches: a
   * request must not cost a write.
   */
  count(figures: readonly Figure[], lastPulls: readonly LastPull[]): Promise<void>;
  /** Adds pulls, in the order of their end. Where it rejects, some of them may be added. */
  add(pulls: readonly PullRecord[]): Promise<void>;
  /** At most `limit` pulls that fit, behind `before`, the newest first. */
  list(page: {
    readonly before?: PullPosition | undefined;
    readonly limit: number;
    readonly filter?: PullFilter | undefined;
  }): Promise<readonly PullSummary[]>;
  /** The pull that has a request; undefined where none that is kept has it listed. */
  find(request: string): Promise<PullRecord | undefined>;
  /** At most `limit` rows whose period is `from` or later and before `to`, behind `after`, in a stable order, the oldest first. */
  figures(page: {
    readonly from: number;
    readonly to: number;
    readonly after?: FigureKey | undefined;
    readonly limit: number;
  }): Promise<readonly Figure[]>;
  /** When the tags of a repository were last pulled, the latest first; at most `limit`. */
  lastPulls(
    repository: { readonly registry: string; readonly repository: string },
    limit: number,
  ): Promise<readonly LastPull[]>;
  /** The last pull of one tag. */
  lastPull(key: Pick<LastPull, 'registry' | 'repository' | 'tag'>): Promise<LastPull | undefined>;
  /** Deletes what is too old, and joins the hours of older days. @param now milliseconds since the epoch */
  trim(now: number): Promise<void>;
  close(): Promise<void>;
}

/** The start of the hour of a time. */
export function hourOf(time: number): number {
  return time - (time % HOUR);
}

/** The start of the day of a time, in UTC. */
export function dayOf(time: number): number {
  return time - (time % DAY);
}

/** Orders pulls: the newest first. */
export function compareRecency(one: PullPosition, other: PullPosition): number {
  if (one.at !== other.at) return other.at - one.at;
  return one.id === other.id ? 0 : one.id < other.id ? 1 : -1;
}

/** Whether a pull fits what is looked for. */
export function matches(pull: PullSummary, { image, client, outcome }: PullFilter): boolean {
  if (outcome !== undefined && pull.outcome !== outcome) return false;
  return hasAll(imageTextOf(pull), image) && hasAll(clientTextOf(pull), client);
}

/** Whether a pull has a request listed. */
export function asksFor({ requestList }: Pick<PullRecord, 'requestList'>, request: string): boolean {
  return requestList.some(({ id }) => id === request);
}

/** In what words of an image are looked for. */
export function imageTextOf({ registry, repository, reference }: PullSummary): string {
  return `${registry}/${repository}${reference.includes(':') ? '@' : ':'}${reference}`.toLowerCase();
}

/** In what words of a client are looked for. A word has no line break. */
export function clientTextOf({ client, user = '', userAgent = '' }: PullSummary): string {
  return `${client}\n${user}\n${userAgent}`.toLowerCase();
}

export function hasAll(text: string, words: readonly string[] | undefined): boolean {
  return words === undefined || words.every((word) => text.includes(word));
}

export function addSums(one: FigureSums, other: FigureSums): FigureSums {
  return {
    pulls: one.pulls + other.pulls,
    requests: one.requests + other.requests,
    hits: one.hits + other.hits,
    failed: one.failed + other.failed,
    bytes: one.bytes + other.bytes,
    fetched: one.fetched + other.fetched,
  };
}
