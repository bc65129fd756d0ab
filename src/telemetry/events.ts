import type { Digest, Reference } from '../oci/index.ts';
import type { IngestEvent, SplitEnded } from './ingest-event.ts';
import type { CertificateOrdered, MitmHandshakeFailed } from './tls-events.ts';

/**
 * The events of a running server. The log, metrics, the control socket and tests subscribe; publishers do not know their
 * subscribers. No payload holds a credential, and no URL holds a query.
 */
export interface Events {
  /** A request's head was read. Published only where it has a listener, before anything is done for the request. */
  'request.started': {
    readonly id: string;
    /** The headers of W3C Trace Context. */
    readonly traceparent: string | undefined;
    readonly tracestate: string | undefined;
    /** The request came from a server in `trusted_proxies`. */
    readonly isTrusted: boolean;
  };
  /** A response was sent, or its connection was cut. */
  'request.finished': RequestFinished;
  /**
   * A client asks for a manifest or blob, and has passed the gate: published before the cache is asked. Its `request.finished`
   * follows.
   */
  'pull.started': PullUnderWay;
  /** The gate refuses a manifest or blob to a client that showed a credential. Its `request.finished` follows. */
  'pull.refused': PullUnderWay;
  /**
   * What the rules said to a request: published once it was refused, or answered with success; by the forward proxy as soon as
   * a request is admitted. Not for the version check `/v2/`.
   */
  'access.decided': AccessOutcome;
  /** Audit mode lets a pull through that no rule allows. */
  'access.would_deny': {
    /** Of the request. */
    readonly id: string;
    /** As rules write it: `alice`, `anonymous`. */
    readonly principal: string;
    readonly action: string;
    readonly registry: string;
    readonly repository: string;
    readonly client: string;
  };
  /** One HTTP exchange with another registry, its token service or a redirect target. */
  'upstream.request': UpstreamRequestEnded;
  /** An upstream failed, and the request moves on to the next in the list. */
  'upstream.failover': { registry: string; from: string; to: string; reason: string };
  /** Requests to an upstream are suspended, retried or resumed: all of them, or those of one kind. */
  'upstream.health': UpstreamHealthChange;
  /** A routing plugin gave no order, or a wrong one: the upstreams of the registry are asked in the order of the configuration. */
  'routing.plugin.failed': {
    readonly registry: string;
    /** `load`: it cannot be loaded. `invalid`: what it returned is no order. `crashed`: its thread ended. */
    readonly failure: 'load' | 'threw' | 'invalid' | 'timeout' | 'crashed';
  };
  /** The pulls a credential has left, from each manifest response that reports them. */
  'upstream.quota': UpstreamQuota;
  'ingest.started': IngestEvent;
  /** A reader joined a running transfer. */
  'ingest.joined': IngestEvent & { readonly followers: number };
  /** The upstream's connection broke, and the transfer continues from `offset`. */
  'ingest.resumed': IngestEvent & { readonly offset: number; readonly reason: string };
  /** A transfer goes on with what an earlier one has left: `bytes` of `size`. */
  'ingest.continued': IngestEvent & { readonly bytes: number; readonly size: number | undefined };
  'ingest.finished': IngestEvent & {
    readonly bytes: number;
    readonly durationMs: number;
    /** `committed`: cached. `streamed`: delivered but not cached. `aborted`: every reader left. `failed`: see `reason`. */
    readonly outcome: 'committed' | 'streamed' | 'aborted' | 'failed';
    readonly reason?: string;
  } & SplitEnded;
  /** A range of an uncached blob was fetched on its own, beside the ingest. */
  'range.passed': { registry: string; repository: string; digest: Digest; upstream: string };
  /** An upstream shows a repository to clients without a credential, which it did not before, or no longer. */
  'visibility.changed': { registry: string; repository: string; isPublic: boolean };
  /** The cache chose its outcome for a request, and why. */
  'cache.decision': { registry: string; repository: string; reference: string; outcome: CacheOutcome; reason: string };
  /** Blobs were evicted because the cache exceeded its limit. `freed` and `left` in bytes. `partials`: of blobs that had come in part. */
  'cache.swept': {
    readonly freed: number;
    readonly left: number;
    readonly blobs: number;
    readonly partials?: number;
  };
  /** Caching is paused; pulls are still served. `until`: the next attempt to cache, in milliseconds since the epoch. */
  'cache.paused': { readonly reason: string; readonly until?: number };
  /** A blob is larger than `cache.max_size`, and is fetched at every pull. Once for each digest. Bytes. */
  'blob.oversized': {
    readonly digest: Digest | undefined;
    readonly repository: string;
    readonly size: number;
    readonly maxSize: number;
  };
  /** Caching is resumed. */
  'cache.resumed': Readonly<Record<string, never>>;
  /** A TLS handshake was cut, and is retried with another length of its first fragment (0: unfragmented). */
  'transport.fallback': {
    readonly host: string;
    readonly from: number;
    readonly to: number;
    /** `reset`: the connection was reset; `end`: it was closed; `alert`: the server refused the fragments. */
    readonly reason: 'reset' | 'end' | 'alert';
  };
  /**
   * A name was looked up where `transport.dns` is set. `by`: a name server's address, `hosts`, or `system`. `trouble`: why
   * earlier servers gave no answer. Cached answers are not published.
   */
  'dns.answered': { readonly host: string; readonly by: string; readonly trouble?: string | undefined };
  /**
   * A stored blob is corrupt or lost. It is quarantined or deleted, and will be fetched again. `content`: the digest differs.
   * `size`: the length differs. `missing`: the file does not exist. `unreadable`: the disk cannot read it.
   */
  'blob.rotten': {
    readonly digest: Digest;
    readonly reason: 'content' | 'size' | 'missing' | 'unreadable';
    readonly detail: string;
  };
  /** A blob file without a row was verified, and is kept. `size` in bytes. */
  'blob.adopted': { readonly digest: Digest; readonly size: number };
  /**
   * The metadata database was damaged or missing, and was replaced: by its backup of `backupAt` (milliseconds since the
   * epoch), or by an empty one. Upstreams are asked again for what was recorded since; no blob is lost.
   */
  'names.recovered': {
    readonly found: string;
    readonly source: 'backup' | 'nothing';
    readonly backupAt?: number | undefined;
  };
  /**
   * A backup of the metadata database was due. `failed`: the disk refused it. `damaged`: the database is, and its earlier
   * backup stays. Nothing is published while nothing has changed.
   */
  'names.backup': { readonly outcome: 'made' | 'failed' | 'damaged' };
  /**
   * What became of recorded spans. `exported`: the collector has them. `failed`: it refused them or did not answer. `dropped`:
   * the queue was full, or the server stopped first.
   */
  'trace.spans': { readonly outcome: 'exported' | 'failed' | 'dropped'; readonly spans: number };
  /** A client in an intercepted tunnel did not complete its TLS handshake with us. */
  'mitm.handshake': MitmHandshakeFailed;
  /** One exchange in an intercepted tunnel. Headers that could be secret are masked already. */
  'mitm.exchange': {
    readonly method: string;
    /** Without the query. */
    readonly url: string;
    /** 0 where the connection was lost before a response. */
    readonly status: number;
    readonly requestHeaders: Readonly<Record<string, string>>;
    readonly responseHeaders: Readonly<Record<string, string>>;
  };
  /** A request was turned away. `full`, `timeout`: the server has no free slot; `client`, `rate`: the client's limit. */
  'overload.refused': { readonly reason: 'full' | 'timeout' | 'client' | 'rate' };
  /** The server reached its limit of requests and turned the first one away. */
  'overload.began': { readonly inflight: number; readonly waiting: number };
  /** No request was turned away for a while, and slots are free again. */
  'overload.ended': { readonly refused: number; readonly durationMs: number };
  /** A reconciliation of rows and files found differences: files were given rows, and rows without a file were deleted. */
  'cache.counted': { readonly adopted: number; readonly missing: number };
  /** The configuration was reloaded. `refused`: it is invalid, and nothing changed. */
  'config.reloaded': ConfigReloaded;
  /** A listener's certificate was replaced by the one now in its file. */
  'certificate.renewed': { readonly listener: string; readonly subject: string; readonly expiresAt: number };
  /** An order at an ACME server ended. `nextAttemptAt`: when a failed one is tried again, milliseconds since the epoch. */
  'certificate.ordered': CertificateOrdered;
  /** A stored user or token was added, changed or removed. `owner`: the user whom a token acts for. */
  'account.changed': { readonly change: string; readonly name: string; readonly owner?: string | undefined };
  /** A tag is kept at a digest from now on, `until` then (milliseconds since the epoch) or until an operator ends the hold. */
  'tag.held': TagEvent & { readonly until: number | undefined; readonly reason: string };
  /** A hold ended. `unhold`: an operator ended it. `expired`: its time has passed, and the tag was asked for. */
  'tag.unheld': TagEvent & { readonly cause: 'unhold' | 'expired' };
  /** An operator pinned a tag: its image is not evicted. */
  'tag.pinned': Omit<TagEvent, 'digest'>;
  /** An operator ended the pin of a tag: its image may be evicted. */
  'tag.unpinned': Omit<TagEvent, 'digest'>;
  /** A manifest was pushed to a hosted repository, also one that was there. `tags`: those that the push named. */
  'manifest.pushed': HostedEvent &
    Actor & {
      readonly digest: Digest;
      readonly mediaType: string;
      /** Bytes of the manifest itself. */
      readonly size: number;
      readonly tags: readonly string[];
    };
  /** A manifest of a hosted repository was deleted by a client. `tags`: those that pointed to it, deleted with it. */
  'manifest.deleted': HostedEvent & Actor & { readonly digest: Digest; readonly tags: readonly string[] };
  /** A tag of a hosted repository points elsewhere than before. `from`: undefined where the tag is new. */
  'tag.moved': HostedEvent &
    Actor & { readonly tag: string; readonly digest: Digest; readonly from: Digest | undefined };
  /** A client deleted a tag of a hosted repository and not its manifest. `digest`: where the tag pointed. */
  'tag.deleted': HostedEvent & Actor & { readonly tag: string; readonly digest: Digest };
  /**
   * A blob was added to a hosted repository. `uploaded`: the client sent its bytes. `mounted`: another repository had it.
   * `present`: the repository had it, and the client sent its bytes again.
   */
  'blob.pushed': HostedEvent & {
    readonly digest: Digest;
    readonly size: number;
    readonly how: 'uploaded' | 'mounted' | 'present';
  };
  /** A client deleted a blob of a hosted repository. `by`: the name of the principal. */
  'blob.deleted': HostedEvent & { readonly digest: Digest; readonly by: string };
  /**
   * A collection removed what hosted repositories no longer need. `records`: blobs and manifests, once for each repository that had them;
   * `bytes`: theirs. `files`: how many files were deleted.
   */
  'hosted.collected': { readonly records: number; readonly files: number; readonly bytes: number };
  /**
   * What became of a delivery to a webhook, or of one attempt. `delivered`: the receiver took it. `failed`: this attempt did
   * not succeed, and another follows. `given-up`: no other follows. `dropped`: the queue was full, or the webhook is gone.
   */
  'webhook.delivery': {
    /** The name of the webhook. */
    readonly hook: string;
    /** The kind of event: `push`, `delete`, `tag`. */
    readonly event: string;
    readonly delivery: string;
    readonly outcome: 'delivered' | 'failed' | 'given-up' | 'dropped';
    readonly reason?: string | undefined;
  };
  /** A webhook changed. `failing`: an attempt failed after all before had succeeded. `gone`: it answered 410. */
  'webhook.state': {
    readonly hook: string;
    readonly state: 'working' | 'failing' | 'gone';
    readonly reason?: string | undefined;
    /** Deliveries that wait. */
    readonly queued: number;
  };
  /** Deliveries are lost: published for the first since the webhook worked. */
  'webhook.lost': { readonly hook: string; readonly reason: string; readonly deliveries: number };
  /** A run of a schedule ended. Times in milliseconds since the epoch, `fetched` and `sent` in bytes, `done` and `failed` in images. */
  'schedule.ended': {
    readonly schedule: string;
    /** In metrics: `schedule` may be the name of an image. */
    readonly label: string;
    /** Whether images were fetched into the cache, or copied. */
    readonly kind: 'warm' | 'copy';
    /** `stopped`: an operator cancelled it. `interrupted`: the server stopped. */
    readonly outcome: 'done' | 'failed' | 'stopped' | 'interrupted';
    /** The run before failed, and this one did not. */
    readonly recovered: boolean;
    /** `schedule`, or who started it. */
    readonly by: string;
    readonly startedAt: number;
    readonly endedAt: number;
    readonly done: number;
    readonly failed: number;
    readonly fetched: number;
    /** To destinations; of a copy alone. */
    readonly sent?: number;
    /** The first five; `image` is empty where it is about all of them. */
    readonly errors: readonly { readonly image: string; readonly error: string }[];
  };
  /** A problem for the operator that failed no request. */
  warning: { readonly message: string; readonly error?: unknown };
}

/** What a pull asks for. */
export type PullTarget =
  | { readonly kind: 'manifest'; readonly reference: Reference }
  | { readonly kind: 'blob'; readonly digest: Digest };

/**
 * One GET or HEAD of a manifest or blob, as it is now: its fields change until its `request.finished`. Its texts come from the
 * client, and are as long as it made them. Times are those of `performance.now()`, in milliseconds.
 */
export interface PullUnderWay {
  /** Of the request: the `X-Request-Id` of its response. */
  readonly id: string;
  readonly method: string;
  /** An address; empty for a Unix socket. */
  readonly client: string;
  /** The user who is logged in, or `token:NAME`, where rules are configured. */
  readonly user: string | undefined;
  readonly userAgent: string | undefined;
  readonly registry: string | undefined;
  readonly repository: string | undefined;
  readonly target: PullTarget | undefined;
  /** What named the registry: `ns`, `host`, `prefix`, `path` or `default`. */
  readonly namedBy: string | undefined;
  /** The index of the rule that allowed it, where there are rules. */
  readonly rule: number | undefined;
  /** What the rules said, where there are any. */
  readonly access: AccessOutcome | undefined;
  /** Body bytes handed to the socket so far. */
  readonly bytes: number;
  /** Bytes of the whole body of the response; undefined until it begins, and where it is sent in chunks. */
  readonly size: number | undefined;
  readonly cache: CacheOutcome | undefined;
  /** Why the cache chose that. */
  readonly reason: string | undefined;
  readonly upstream: string | undefined;
  readonly startedAt: number;
  /** When it had its slot. */
  readonly slotAt: number | undefined;
  /** When it had passed the gate. */
  readonly passedAt: number | undefined;
  /** When its response began. */
  readonly answeredAt: number | undefined;
  /** What its recorder notes of it: a map from requests to notes would cost more than all else of recording. */
  recorded: object | undefined;
}

/** What has come of the body of a response. It changes until `isOver`. */
export interface BodyMeter {
  /** Without the framing of chunks. */
  readonly bytes: number;
  /** True once no more will come. */
  readonly isOver: boolean;
}

/** What happened in a repository whose home is this server. */
interface HostedEvent {
  readonly registry: string;
  readonly repository: string;
}

/** Who changed a hosted repository. */
interface Actor {
  /** The name of the principal, as rules write it: `alice`, `token:NAME`. */
  readonly by: string;
  /** The address of the client. */
  readonly client: string;
}

interface TagEvent {
  readonly registry: string;
  readonly repository: string;
  readonly tag: string;
  readonly digest: Digest;
}

/** What the rules of access said to a request. `would-deny`: no rule allows it, and audit mode let it through. */
export type AccessVerdict = 'allowed' | 'denied' | 'would-deny';

export interface AccessOutcome {
  /** As rules write it: `alice`, `anonymous`. */
  readonly principal: string;
  readonly action: string;
  /** `mirror:<route>` for a path of a mirror route. Undefined where the action concerns no repository. */
  readonly registry: string | undefined;
  /** Empty where the request concerns all of the registry. */
  readonly repository: string | undefined;
  readonly verdict: AccessVerdict;
}

/** The value of the `X-Cache` header. */
export type CacheOutcome = 'HIT' | 'MISS' | 'JOIN' | 'REVALIDATED' | 'STALE' | 'PASS';

export interface RequestFinished {
  readonly id: string;
  readonly method: string;
  /** Path without the query. */
  readonly path: string;
  /** 0 where the connection was lost before a response. */
  readonly status: number;
  /** Body bytes handed to the socket. */
  readonly bytes: number;
  /** Body bytes received from the client, and bytes it sent through a tunnel. @default 0 */
  readonly received?: number;
  /** Set where the request was not addressed to this server: sent to the forward proxy, or through an intercepted tunnel. */
  readonly entrance?: 'forward' | 'mitm' | undefined;
  readonly durationMs: number;
  readonly client: string;
  /** The user who is logged in, or `token:NAME`, where rules are configured. */
  readonly user?: string | undefined;
  readonly userAgent: string | undefined;
  /** The handler: `registry`, `health`, `metrics`, `help`, `token`, `ca`, `api`, `events` (no duration in metrics), `forward`, `tunnel`, `mitm`. */
  readonly route: string;
  readonly registry: string | undefined;
  readonly repository: string | undefined;
  /** The name of the upstream that responded, where the request needed one. */
  readonly upstream: string | undefined;
  readonly cache: CacheOutcome | undefined;
  /** Set where the body was cut on purpose, or the handler failed. */
  readonly error: string | undefined;
  /** The client closed the connection before the response was complete. @default false */
  readonly hasLeft?: boolean;
  /** Set where it was for a manifest or blob. */
  readonly pull?: PullUnderWay | undefined;
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
  /** The changed options that take effect only after a restart. */
  readonly restart: readonly string[];
  /** Why it was refused. */
  readonly problems: readonly string[];
}

export interface UpstreamRequestEnded {
  readonly registry: string;
  readonly upstream: string;
  readonly method: string;
  /** Origin and path, without the query: it may be a signature. */
  readonly url: string;
  /** 0 where no response came. */
  readonly status: number;
  readonly durationMs: number;
  readonly purpose: 'api' | 'blob' | 'token' | 'redirect';
  readonly error?: string;
  /** The id of the request of a client that caused it, where one did. */
  readonly request?: string | undefined;
  /** The repository that it is for, as its registry knows it. Absent for tokens, catalogues and sites. */
  readonly repository?: string | undefined;
  /** What has come of the body of its response. */
  readonly body?: BodyMeter | undefined;
  /** Set where something on the way to the upstream blocked the request, or seems to. */
  readonly blocked?: BlockKind | undefined;
}

/**
 * What blocks a request to an upstream. `firewall`: a web application firewall. `challenge`: a bot check. `restriction`: a
 * legal or geographic one (status 451). `page`: a web page where the registry would answer JSON. `tls-reset`: the connection
 * was reset during the TLS handshake.
 */
export type BlockKind = 'firewall' | 'challenge' | 'restriction' | 'page' | 'tls-reset';

export interface UpstreamHealthChange {
  readonly registry: string;
  readonly upstream: string;
  /** `pull`: GET of manifests. `check`: HEAD of manifests. `list`: tags, catalogue and referrers. */
  readonly scope: 'all' | 'pull' | 'check' | 'list' | 'blob' | 'push';
  /** `open`: no request for `retryAfterMs`. `half-open`: one request is a trial. `closed`: healthy. */
  readonly state: 'closed' | 'open' | 'half-open';
  /** The last failure; names no repository. */
  readonly reason: string;
  /** 0 unless `open`. */
  readonly retryAfterMs: number;
}

export interface UpstreamQuota {
  readonly registry: string;
  readonly upstream: string;
  /** A user name, or `anonymous`. */
  readonly credential: string;
  /** Pulls per window; undefined where the registry does not report it. */
  readonly limit: number | undefined;
  /** Pulls left. */
  readonly remaining: number;
  /** Undefined where the registry does not report it. */
  readonly windowSeconds: number | undefined;
}

type Listener<T> = (event: T) => void;

/** Publishes events to their listeners, which run synchronously, in order, and must not throw. */
export class Telemetry {
  readonly #listeners = new Map<keyof Events, Listener<never>[]>();

  /** Subscribes to one kind of event until the returned function is called. */
  on<K extends keyof Events>(kind: K, listener: Listener<Events[K]>): () => void {
    const listeners = this.#listeners.get(kind) ?? [];
    this.#listeners.set(kind, [...listeners, listener]);
    return () => {
      const rest = (this.#listeners.get(kind) ?? []).filter((each) => each !== listener);
      if (rest.length === 0) this.#listeners.delete(kind);
      else this.#listeners.set(kind, rest);
    };
  }

  /** True where the event has a listener: a hot path can skip building the payload otherwise. */
  hears(kind: keyof Events): boolean {
    return this.#listeners.has(kind);
  }

  publish<K extends keyof Events>(kind: K, event: Events[K]): void {
    const listeners = this.#listeners.get(kind);
    if (listeners === undefined) return;
    for (const listener of listeners) (listener as Listener<Events[K]>)(event);
  }
}
