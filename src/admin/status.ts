import * as z from 'zod';
import type { Ingest, PullThrough } from '../cache/index.ts';
import { type Config, type ConfigProblem, formatProblem } from '../config/index.ts';
import type { Admission, ListenerAddress } from '../server/index.ts';
import { heldTag, holdOf, imageOf } from './history-operations.ts';
import { type WebhookStatus, webhookStatuses } from './webhook-operations.ts';

export const upstreamStatus = z.object({
  registry: z.string(),
  upstream: z.string(),
  state: z
    .enum(['closed', 'open', 'half-open'])
    .describe('`closed`: used as usual. `open`: not used until `openUntil`. `half-open`: the next request tries it.'),
  scope: z
    .string()
    .describe('The requests `state` is about: `all`, `pull` (GETs of manifests), `check` (HEADs), `list` or `blob`.'),
  openUntil: z.number().exactOptional(),
  since: z.number().exactOptional().describe('The first failure.'),
  reason: z.string().exactOptional().describe('The last failure.'),
  quota: z
    .array(
      z.object({
        credential: z.string(),
        limit: z.number().optional(),
        remaining: z.number(),
        windowSeconds: z.number().optional(),
      }),
    )
    .readonly()
    .exactOptional()
    .describe('Pulls left, for each credential for which the registry reports them.'),
});
/** The health of one upstream. Times are milliseconds since 1970. */
export type UpstreamStatus = z.infer<typeof upstreamStatus>;

const transferUpstream = z.object({
  upstream: z.string().describe('Its name.'),
  connections: z.number().describe('Connections to it now.'),
  bytes: z.number().describe('Bytes that it has delivered.'),
  bytesPerSecond: z.number().describe('Of all connections to it, over about the last second; 0 before it is known.'),
});

const routedUpstream = z.object({
  upstream: z.string(),
  state: z
    .enum(['up', 'trying', 'resting'])
    .describe('`resting`: a request to it fails at once. `trying`: the next request tries whether it is back.'),
  weight: z.number().exactOptional().describe('Where the strategy is `weighted` or a plugin.'),
  latencyMs: z
    .number()
    .exactOptional()
    .describe('The mean time to the head of its answers; absent where it was not measured in the last half hour.'),
  bytesPerSecond: z
    .number()
    .exactOptional()
    .describe('The mean rate of its blobs over one connection; absent likewise.'),
  why: z.string().describe('Why it has this place, in a few words of English.'),
});

/** In which order the upstreams of a registry are asked. */
export const route = z.object({
  registry: z.string(),
  by: z.enum(['ordered', 'fastest', 'weighted', 'plugin']),
  tags: z
    .boolean()
    .describe(
      'Whether tags and lists follow the strategy; otherwise they are asked in the order of the configuration.',
    ),
  plugin: z
    .object({
      file: z.string(),
      state: z
        .enum(['working', 'paused'])
        .describe('`paused`: it failed again and again, and is not asked for a while.'),
      failures: z.number().describe('Questions since it was loaded that it did not answer, or not rightly.'),
      lastFault: z.string().exactOptional().describe('What it did wrong last.'),
    })
    .exactOptional(),
  upstreams: z
    .array(routedUpstream)
    .readonly()
    .describe(
      'In the order in which they would be asked now; where a plugin decides, in `status`, in that of the configuration.',
    ),
});
export type Route = z.infer<typeof route>;

export const transferStatus = z.object({
  id: z.string(),
  registry: z.string(),
  repository: z.string(),
  digest: z.string().exactOptional().describe('Absent for a transfer by URL, until it ends.'),
  upstream: z.string().describe('The one that is trusted most: it sent the first byte.'),
  upstreams: z
    .array(transferUpstream)
    .readonly()
    .exactOptional()
    .describe('What each upstream does for it, where it has used more than one connection.'),
  bytes: z.number().describe('Bytes received.'),
  size: z.number().exactOptional().describe('Bytes in all; absent where the upstream does not say.'),
  followers: z.number().describe('Readers that follow it now.'),
  segments: z.number().exactOptional().describe('Connections that it uses at once, where it uses more than one.'),
  gain: z
    .number()
    .exactOptional()
    .describe('The best rate so far as a multiple of that with one connection, where it has used more than one.'),
  startedAt: z.number(),
});
/** One transfer under way. */
export type TransferStatus = z.infer<typeof transferStatus>;

const certificateStatus = z.object({
  listener: z.string().exactOptional().describe('Absent for a certificate that a listener waits for.'),
  names: z.string(),
  expiresAt: z.number().exactOptional().describe('Absent where there is no certificate yet.'),
  renewal: z
    .object({
      server: z.string().describe('URL of the directory of the ACME server.'),
      orderAt: z.number().describe('When the next certificate is ordered; in the past: as soon as possible.'),
      isOrdering: z.boolean(),
      failures: z.number().exactOptional().describe('Orders that failed since the last certificate.'),
      error: z.string().exactOptional().describe('Why the last one failed.'),
    })
    .exactOptional()
    .describe('Present where this server orders the certificate itself.'),
});
/** The certificate of one listener. Times are milliseconds since 1970. */
export type CertificateStatus = z.infer<typeof certificateStatus>;

/** The answer of the operation `status`. Times are milliseconds since 1970. */
export const serverStatus = z.object({
  version: z.string(),
  pid: z.number(),
  startedAt: z.number(),
  uptimeSeconds: z.number(),
  listeners: z.array(z.string()).readonly().describe('`http://127.0.0.1:5000`, `unix:/run/entrepot.sock`.'),
  configSource: z.string().describe('A file, an environment variable, or `defaults`.'),
  warnings: z
    .array(z.string())
    .readonly()
    .exactOptional()
    .describe(
      'What is dangerous or without effect in the configuration, with place and remedy. Older servers leave it out.',
    ),
  cache: z.union([
    z.literal('off'),
    z.object({
      dir: z.string(),
      blobs: z.number(),
      bytes: z.number(),
      maxSize: z.number().exactOptional(),
      partial: z
        .object({ count: z.number(), bytes: z.number() })
        .exactOptional()
        .describe('Blobs that have come in part, which the next pull continues. Older servers leave it out.'),
      paused: z
        .object({ reason: z.string(), since: z.number(), until: z.number().optional() })
        .exactOptional()
        .describe('Present while pulled content is not kept.'),
    }),
  ]),
  hosted: z
    .object({
      repositories: z.number().describe('Emptied ones too.'),
      digests: z.number().describe('Blobs and manifests, each once.'),
      bytes: z.number().describe('Of these. They answer to `quota` and `min_free`, not to `max_size`.'),
      uploads: z.number().describe('Uploads that were begun and not ended.'),
      uploadBytes: z.number(),
    })
    .exactOptional()
    .describe('What was pushed to this server; absent where nothing is hosted.'),
  requests: z
    .object({
      inflight: z.number(),
      waiting: z.number(),
      maxInflight: z.number().exactOptional().describe('`limits.max_inflight`, where there is a limit.'),
      overloaded: z.boolean().describe('The server refused a request a moment ago.'),
    })
    .exactOptional()
    .describe('Requests of clients. Older servers leave it out.'),
  certificates: z
    .array(certificateStatus)
    .readonly()
    .exactOptional()
    .describe('The certificates of the listeners. Older servers leave it out.'),
  held: z
    .array(heldTag)
    .readonly()
    .exactOptional()
    .describe('The tags that are held at a digest. Older servers leave it out.'),
  webhooks: webhookStatuses.exactOptional().describe('The configured webhooks. Older servers leave it out.'),
  transfers: z.array(transferStatus).readonly(),
  upstreams: z
    .array(upstreamStatus)
    .readonly()
    .exactOptional()
    .describe('The configured upstreams that had a request since the start. Older servers leave it out.'),
  routes: z
    .array(route)
    .readonly()
    .exactOptional()
    .describe(
      'The registries with a strategy, with the order in which their upstreams are asked for blobs. Older servers leave it out.',
    ),
});
export type ServerStatus = z.infer<typeof serverStatus>;

export interface StatusParts {
  readonly version: string;
  readonly config: Config;
  /** Where the configuration came from. */
  readonly source: string;
  readonly notes: readonly ConfigProblem[];
  readonly admission: Pick<Admission, 'inflight' | 'waiting' | 'overloaded'>;
  readonly cache: Pick<PullThrough, 'totals' | 'partialTotals' | 'pause' | 'transfers' | 'holds'>;
  /** Undefined where nothing is hosted. */
  readonly hosted: { read(): Promise<NonNullable<ServerStatus['hosted']> | undefined> };
  readonly upstreams: readonly UpstreamStatus[];
  readonly routes: readonly Route[];
  readonly listeners: readonly ListenerAddress[];
  readonly certificates: readonly CertificateStatus[];
  readonly webhooks: readonly WebhookStatus[];
  /** Milliseconds since 1970. */
  readonly startedAt: number;
}

/** Collects the answer of the operation `status`. */
export async function describeServer(parts: StatusParts): Promise<ServerStatus> {
  const { version, config, source, notes, admission, cache, upstreams, listeners, certificates, webhooks, startedAt } =
    parts;
  const { maxInflight } = config.limits;
  const hosted = await parts.hosted.read();
  return {
    version,
    pid: process.pid,
    startedAt,
    uptimeSeconds: Math.round((Date.now() - startedAt) / 1000),
    listeners: listeners.map(({ protocol, address }) =>
      address.startsWith('unix:') ? address : `${protocol}://${address}`,
    ),
    configSource: source,
    warnings: notes.map(formatProblem),
    cache:
      config.cache === 'off'
        ? 'off'
        : {
            dir: config.cache.dir,
            ...(await cache.totals()),
            partial: await cache.partialTotals(),
            ...(config.cache.maxSize === undefined ? {} : { maxSize: config.cache.maxSize }),
            ...(cache.pause === undefined ? {} : { paused: cache.pause }),
          },
    ...(hosted !== undefined && { hosted }),
    requests: {
      inflight: admission.inflight,
      waiting: admission.waiting,
      ...(maxInflight === 0 ? {} : { maxInflight }),
      overloaded: admission.overloaded,
    },
    certificates,
    held: (await cache.holds()).map((each) => ({ image: imageOf(each), ...holdOf(each.hold) })),
    webhooks,
    transfers: [...cache.transfers].map(describeTransfer),
    upstreams,
    routes: parts.routes,
  };
}

export function describeTransfer(ingest: Ingest): TransferStatus {
  const { id, repository, digest, upstream, received, connections, split, size, followers, startedAt } = ingest;
  return {
    id,
    registry: repository.registry,
    repository: repository.repository,
    ...(digest === undefined ? {} : { digest }),
    upstream,
    ...(split.connections > 1 && { upstreams: split.upstreams }),
    ...(split.gain !== undefined && { gain: Math.round(split.gain * 100) / 100 }),
    bytes: received,
    ...(connections > 1 && { segments: connections }),
    ...(size === undefined ? {} : { size }),
    followers,
    startedAt,
  };
}
