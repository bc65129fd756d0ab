import type { Digest } from '../oci/index.ts';

/**
 * The catalogue of everything that is said about a running server. Logs, metrics, the control socket and tests
 * subscribe; whoever publishes knows none of them. No payload holds a credential, and no URL a query.
 */
export interface Events {
  /** A request was answered, or its connection was cut. */
  'request.finished': RequestFinished;
  /** One HTTP exchange with another registry, its token service or a redirect target. */
  'upstream.request': UpstreamRequestEnded;
  /** An upstream failed and the next in the list is asked. */
  'upstream.failover': { registry: string; from: string; to: string; reason: string };
  /** An upstream is left alone for a while, tried again or back: all questions to it, or those of one kind. */
  'upstream.health': UpstreamHealthChange;
  /** What a registry says is left of a credential's pulls, on each answer about a manifest that says so. */
  'upstream.quota': UpstreamQuota;
  'ingest.started': IngestEvent;
  /** A reader attached to a transfer that was already under way. */
  'ingest.joined': IngestEvent & { readonly followers: number };
  /** The upstream broke off and the transfer goes on from `offset`. */
  'ingest.resumed': IngestEvent & { readonly offset: number; readonly reason: string };
  'ingest.finished': IngestEvent & {
    readonly bytes: number;
    readonly durationMs: number;
    /** `committed`: in the cache. `streamed`: delivered, not kept. `aborted`: everyone left. `failed`: see reason. */
    readonly outcome: 'committed' | 'streamed' | 'aborted' | 'failed';
    readonly reason?: string;
  };
  /** A part of a cold blob that was fetched for itself, beside the ingest. */
  'range.passed': { registry: string; repository: string; digest: Digest; upstream: string };
  /** Why the cache answered as it did. */
  'cache.decision': { registry: string; repository: string; reference: string; outcome: CacheOutcome; reason: string };
  /** Blobs were evicted because the cache was larger than it may be. Bytes. */
  'cache.swept': { readonly freed: number; readonly left: number; readonly blobs: number };
  /** Nothing is kept for now; what is pulled is delivered all the same. `until`: when that is tried again. */
  'cache.paused': { readonly reason: string; readonly until?: number };
  /** What is pulled is kept again. */
  'cache.resumed': Readonly<Record<string, never>>;
  /** A TLS handshake was cut, and is tried again with another length of its first fragment (0: in one piece). */
  'transport.fallback': {
    readonly host: string;
    readonly from: number;
    readonly to: number;
    /** `reset`: the connection was reset; `end`: it was closed; `alert`: the server refused the fragments. */
    readonly reason: 'reset' | 'end' | 'alert';
  };
  /**
   * A name was looked up where `transport.dns` is set. `by`: a name server's address, `hosts`, or `system`. `trouble`: what
   * kept others from answering before. Repeated from memory it is not told again.
   */
  'dns.answered': { readonly host: string; readonly by: string; readonly trouble?: string | undefined };
  /**
   * A stored blob is not what was stored; it is in quarantine, or gone, and will be fetched afresh. `content`: another
   * digest. `size`: another length. `missing`: no file. `unreadable`: the disk cannot give it back.
   */
  'blob.rotten': {
    readonly digest: Digest;
    readonly reason: 'content' | 'size' | 'missing' | 'unreadable';
    readonly detail: string;
  };
  /** A file that nothing was known of turned out to be the blob its name says, and is kept. Bytes. */
  'blob.adopted': { readonly digest: Digest; readonly size: number };
  /**
   * The names database was damaged or gone, and another has taken its place: its backup of `backupAt` (milliseconds since
   * the epoch), or an empty one. What was noted since is asked for again; no blob is lost.
   */
  'names.recovered': {
    readonly found: string;
    readonly source: 'backup' | 'nothing';
    readonly backupAt?: number | undefined;
  };
  /** A client whose tunnel is looked into did not finish its handshake with us. */
  'mitm.handshake': MitmHandshakeFailed;
  /** What was said within a tunnel that is looked into. Headers that could be secret are masked already. */
  'mitm.exchange': {
    readonly method: string;
    /** Without the query. */
    readonly url: string;
    /** 0 where the connection was lost before an answer. */
    readonly status: number;
    readonly requestHeaders: Readonly<Record<string, string>>;
    readonly responseHeaders: Readonly<Record<string, string>>;
  };
  /** A request found no place. `full`, `timeout`: on the server; `client`, `rate`: its client has had its share. */
  'overload.refused': { readonly reason: 'full' | 'timeout' | 'client' | 'rate' };
  /** The server has as many requests as it takes, and turned the first away. */
  'overload.began': { readonly inflight: number; readonly waiting: number };
  /** Nobody was turned away for a while, and there is room again. */
  'overload.ended': { readonly refused: number; readonly durationMs: number };
  /** Rows and files of the cache did not agree: files were given rows, and rows without a file were taken. */
  'cache.counted': { readonly adopted: number; readonly missing: number };
  /** The configuration was read again. `refused`: it is wrong, and nothing has changed. */
  'config.reloaded': ConfigReloaded;
  /** A certificate was exchanged for the one its file holds now. */
  'certificate.renewed': { readonly listener: string; readonly subject: string; readonly expiresAt: number };
  /** Something an operator should know that ended no request. */
  warning: { readonly message: string; readonly error?: unknown };
}

/** What the `X-Cache` header says. */
export type CacheOutcome = 'HIT' | 'MISS' | 'JOIN' | 'REVALIDATED' | 'STALE' | 'PASS';

export interface RequestFinished {
  readonly id: string;
  readonly method: string;
  /** Path without the query. */
  readonly path: string;
  /** 0 where the connection was lost before an answer. */
  readonly status: number;
  /** Body bytes handed to the socket. */
  readonly bytes: number;
  /** Body bytes from the client, and what it sent through a tunnel. @default 0 */
  readonly received?: number;
  /** Set where it was not sent to this server itself: asked of a forward proxy, or out of a tunnel. */
  readonly entrance?: 'forward' | 'mitm' | undefined;
  readonly durationMs: number;
  readonly client: string;
  readonly userAgent: string | undefined;
  /** Which entrance: `registry`, `health`, `metrics`, `help`, `token`, `ca`, `forward`, `tunnel`, `mitm`. */
  readonly route: string;
  readonly registry: string | undefined;
  readonly repository: string | undefined;
  /** The name of the upstream that answered, where one was asked. */
  readonly upstream: string | undefined;
  readonly cache: CacheOutcome | undefined;
  /** Set where the body was cut short on purpose, or the handler failed. */
  readonly error: string | undefined;
}

export interface ConfigReloaded {
  readonly outcome: 'changed' | 'unchanged' | 'refused';
  /** A file, an environment variable, or `defaults`. */
  readonly source: string;
  /** The options that changed. */
  readonly changed: readonly string[];
  readonly registries: {
    readonly added: readonly string[];
    readonly removed: readonly string[];
    readonly changed: readonly string[];
  };
  /** The options that take a restart. */
  readonly restart: readonly string[];
  /** Why it was refused. */
  readonly problems: readonly string[];
}

export interface MitmHandshakeFailed {
  readonly host: string;
  readonly client: string;
  /** `untrusted`: the client does not know our authority. `aborted`: it hung up. `protocol`: it spoke no TLS that we do. */
  readonly reason: 'untrusted' | 'aborted' | 'timeout' | 'protocol';
  /** The code of the error. */
  readonly detail: string;
}

export interface UpstreamRequestEnded {
  readonly registry: string;
  readonly upstream: string;
  readonly method: string;
  /** Origin and path; never a query, which may be a signature. */
  readonly url: string;
  /** 0 where no answer came. */
  readonly status: number;
  readonly durationMs: number;
  readonly purpose: 'api' | 'blob' | 'token' | 'redirect';
  readonly error?: string;
}

export interface UpstreamHealthChange {
  readonly registry: string;
  readonly upstream: string;
  /** `pull` GETs of manifests, `check` HEADs of them, `list` tags, catalogue and referrers. */
  readonly scope: 'all' | 'pull' | 'check' | 'list' | 'blob';
  /** `open` nothing is asked for `retryAfterMs`; `half-open` one question tries; `closed` as usual. */
  readonly state: 'closed' | 'open' | 'half-open';
  /** What failed last; names no repository. */
  readonly reason: string;
  /** 0 unless open. */
  readonly retryAfterMs: number;
}

export interface UpstreamQuota {
  readonly registry: string;
  readonly upstream: string;
  /** A user name, or `anonymous`. */
  readonly credential: string;
  /** Pulls in a whole window; undefined where the registry does not say. */
  readonly limit: number | undefined;
  readonly remaining: number;
  readonly windowSeconds: number | undefined;
}

export interface IngestEvent {
  readonly id: string;
  /** `mirror:<route>` for what is fetched by URL. */
  readonly registry: string;
  /** The URL without its query, for what is fetched by one. */
  readonly repository: string;
  /** Undefined until the last byte for what is fetched by URL. */
  readonly digest: Digest | undefined;
  readonly upstream: string;
}

type Listener<T> = (event: T) => void;

/** Where events are published and heard. Listeners run at once, in order, and must not throw. */
export class Telemetry {
  readonly #listeners = new Map<keyof Events, Listener<never>[]>();

  /** Hears one kind of event until the returned function is called. */
  on<K extends keyof Events>(kind: K, listener: Listener<Events[K]>): () => void {
    const listeners = this.#listeners.get(kind) ?? [];
    this.#listeners.set(kind, [...listeners, listener]);
    return () => {
      const rest = (this.#listeners.get(kind) ?? []).filter((each) => each !== listener);
      if (rest.length === 0) this.#listeners.delete(kind);
      else this.#listeners.set(kind, rest);
    };
  }

  /** True where somebody listens: lets a hot path skip building a payload nobody reads. */
  hears(kind: keyof Events): boolean {
    return this.#listeners.has(kind);
  }

  publish<K extends keyof Events>(kind: K, event: Events[K]): void {
    const listeners = this.#listeners.get(kind);
    if (listeners === undefined) return;
    for (const listener of listeners) (listener as Listener<Events[K]>)(event);
  }
}
