import type { Ingest, PullThrough } from '../cache/index.ts';
import type { Config } from '../config/index.ts';
import type { Admission, ListenerAddress } from '../server/index.ts';

/** What a running server says about itself. Times are milliseconds since 1970. */
export interface ServerStatus {
  readonly version: string;
  readonly pid: number;
  readonly startedAt: number;
  readonly uptimeSeconds: number;
  /** `http://127.0.0.1:5000`, `unix:/run/entrepot.sock`. */
  readonly listeners: readonly string[];
  /** Where the configuration came from: a file, an environment variable, or `defaults`. */
  readonly configSource: string;
  readonly cache:
    | {
        readonly dir: string;
        readonly blobs: number;
        readonly bytes: number;
        readonly maxSize?: number;
        /** Set while what is pulled is not kept. */
        readonly paused?: { readonly reason: string; readonly since: number; readonly until?: number | undefined };
      }
    | 'off';
  /** Requests of clients; absent from servers before there was this. */
  readonly requests?: {
    readonly inflight: number;
    readonly waiting: number;
    /** `limits.max_inflight`, where there is a limit. */
    readonly maxInflight?: number;
    /** Some were turned away a moment ago. */
    readonly overloaded: boolean;
  };
  readonly transfers: readonly TransferStatus[];
  /** The configured upstreams that were asked since the server started; absent from servers before there was this. */
  readonly upstreams?: readonly UpstreamStatus[];
}

/** How one upstream fares. Times are milliseconds since 1970. */
export interface UpstreamStatus {
  readonly registry: string;
  readonly upstream: string;
  /** `closed`: asked as usual. `open`: left alone until `openUntil`. `half-open`: the next question tries it. */
  readonly state: 'closed' | 'open' | 'half-open';
  /** Which questions that is about: `all`, `pull` (GETs of manifests), `check` (HEADs), `list` or `blob`. */
  readonly scope: string;
  readonly openUntil?: number;
  /** When the trouble began, and what failed last. */
  readonly since?: number;
  readonly reason?: string;
  /** Pulls left, for each credential of which the registry said so. */
  readonly quota?: readonly {
    readonly credential: string;
    readonly limit?: number | undefined;
    readonly remaining: number;
    readonly windowSeconds?: number | undefined;
  }[];
}

/** One transfer under way. */
export interface TransferStatus {
  readonly id: string;
  readonly registry: string;
  readonly repository: string;
  /** Absent for what is fetched by URL: nobody knows it yet. */
  readonly digest?: string;
  readonly upstream: string;
  /** Bytes received. */
  readonly bytes: number;
  /** Of the whole; absent where the upstream does not say. */
  readonly size?: number;
  /** Readers that follow it now. */
  readonly followers: number;
  readonly startedAt: number;
}

/** What the status is made of. */
export interface StatusParts {
  readonly version: string;
  readonly config: Config;
  /** Where the configuration came from. */
  readonly source: string;
  readonly admission: Pick<Admission, 'inflight' | 'waiting' | 'overloaded'>;
  readonly cache: Pick<PullThrough, 'totals' | 'pause' | 'transfers'>;
  readonly upstreams: readonly UpstreamStatus[];
  readonly listeners: readonly ListenerAddress[];
  /** Milliseconds since 1970. */
  readonly startedAt: number;
}

/** What `entrepot status` is told. */
export async function describeServer(parts: StatusParts): Promise<ServerStatus> {
  const { version, config, source, admission, cache, upstreams, listeners, startedAt } = parts;
  const { max_inflight: maxInflight } = config.limits;
  return {
    version,
    pid: process.pid,
    startedAt,
    uptimeSeconds: Math.round((Date.now() - startedAt) / 1000),
    listeners: listeners.map(({ protocol, address }) =>
      address.startsWith('unix:') ? address : `${protocol}://${address}`,
    ),
    configSource: source,
    cache:
      config.cache === 'off'
        ? 'off'
        : {
            dir: config.cache.dir,
            ...(await cache.totals()),
            ...(config.cache.max_size === undefined ? {} : { maxSize: config.cache.max_size }),
            ...(cache.pause === undefined ? {} : { paused: cache.pause }),
          },
    requests: {
      inflight: admission.inflight,
      waiting: admission.waiting,
      ...(maxInflight === 0 ? {} : { maxInflight }),
      overloaded: admission.overloaded,
    },
    transfers: [...cache.transfers].map(describeTransfer),
    upstreams,
  };
}

function describeTransfer(ingest: Ingest): ServerStatus['transfers'][number] {
  const { id, repository, digest, upstream, written, size, followers, startedAt } = ingest;
  return {
    id,
    registry: repository.registry,
    repository: repository.repository,
    ...(digest === undefined ? {} : { digest }),
    upstream,
    bytes: written,
    ...(size === undefined ? {} : { size }),
    followers,
    startedAt,
  };
}
