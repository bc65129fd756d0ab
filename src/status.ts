import type { Ingest } from './cache/index.ts';
import type { Generation, Standing } from './generation.ts';
import type { ListenerAddress, ServerStatus, UpstreamStatus } from './server/index.ts';

export interface StatusParts extends Pick<Standing, 'admission' | 'cache' | 'version'> {
  readonly listeners: readonly ListenerAddress[];
  /** Milliseconds since 1970. */
  readonly startedAt: number;
}

/** What `entrepot status` is told. */
export async function describeServer(generation: Generation, parts: StatusParts): Promise<ServerStatus> {
  const { version, admission, cache, listeners, startedAt } = parts;
  const { max_inflight: maxInflight } = generation.config.limits;
  const { config, source } = generation;
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
    upstreams: describeUpstreams(generation),
  };
}

/** How the upstreams fare that are configured or known, and were asked. */
export function describeUpstreams({ reach: { catalogue, transport } }: Generation): readonly UpstreamStatus[] {
  return catalogue
    .list()
    .flatMap(({ name }) => transport.origin.healthOf(name).map((each) => ({ registry: name, ...each })));
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
