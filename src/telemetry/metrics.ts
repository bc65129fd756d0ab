import type { Registry } from 'prom-client';
import { Counter, Gauge, Histogram } from './counters.ts';
import type { CacheOutcome, RequestFinished, Telemetry } from './events.ts';
import { countHosted, createHostedCounters, type HostedReadings } from './hosted-metrics.ts';
import { openRegistry } from './prom-registry.ts';
import { countSchedules, createScheduleCounters, type ScheduleReadings } from './schedule-metrics.ts';
import { countSplit, createSplitCounters } from './split-metrics.ts';
import { countWebhooks, createWebhookCounters, type WebhookReadings } from './webhook-metrics.ts';

export interface MetricsOptions extends HostedReadings, ScheduleReadings, WebhookReadings {
  /** Responses in progress. */
  readonly inFlight?: () => number;
  /** Client connections, idle ones included. */
  readonly connections?: () => number;
  /** Requests within limits.max_inflight, requests waiting for a slot, and whether requests were just turned away. */
  readonly admission?: { readonly inflight: number; readonly waiting: number; readonly overloaded: boolean };
  /** Transfers in progress. */
  readonly transfers?: () => number;
  /** Open tunnels of the forward proxy. */
  readonly tunnels?: () => number;
  /** The stored blobs and their total size. */
  readonly cache?: () => Promise<{ readonly blobs: number; readonly bytes: number }>;
  /** `cache.max_size` in bytes; undefined: no limit. */
  readonly cacheLimit?: () => number | undefined;
  /** The file system of the cache directory, in bytes; `free` is the part that this user may write. */
  readonly disk?: () => Promise<{ readonly free: number; readonly total: number }>;
  /** Whether `/readyz` reports ready. */
  readonly ready?: () => boolean;
  /** Whether caching is paused. */
  readonly paused?: () => boolean;
  /** The certificates in use. `expiresAt`: milliseconds since the epoch. */
  readonly certificates?: () => readonly { readonly listener: string; readonly expiresAt: number }[];
  /** The health of the configured upstreams that have received a request. */
  readonly upstreams?: () => readonly UpstreamReading[];
  /** The version of this program, for `entrepot_build_info`. */
  readonly version?: string;
  /**
   * Whether a registry's name may be a label. All other names, which clients may invent (an open mirror accepts any), are
   * counted as `other`. @default every name
   */
  readonly isConfigured?: (registry: string) => boolean;
}

/** The current health of one upstream. */
export interface UpstreamReading {
  readonly registry: string;
  readonly upstream: string;
  readonly state: 'closed' | 'open' | 'half-open';
  /** `all`, or the kind of request it is not sent. */
  readonly scope: string;
  readonly quota?: readonly { readonly credential: string; readonly remaining: number }[];
}

/** The metrics of a running server, in Prometheus' text format. */
interface Metrics {
  text(): Promise<{ readonly contentType: string; readonly body: string }>;
  /** Stops counting. */
  close(): void;
}

const METHODS = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'CONNECT']);

/** Outcomes served from the cache or from a transfer already in progress: no upstream had to send the bytes again. */
const SAVED: ReadonlySet<CacheOutcome> = new Set<CacheOutcome>(['HIT', 'JOIN', 'REVALIDATED', 'STALE']);

/** Seconds: from a manifest in memory to a large layer over a slow connection. */
const REQUEST_SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300];

/** Seconds to the head of a response, or to the end of a small exchange. */
const UPSTREAM_SECONDS = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];

/**
 * Counts events from now on. Labels hold names from the configuration and words of closed sets, never a repository, a path or
 * anything else a client can choose.
 *
 * prom-client costs 40 ms to load, so it is loaded when metrics are first read. It writes the text, and adds the process's own
 * metrics (memory, CPU, garbage collection, event loop), which begin then.
 */
export function createMetrics(telemetry: Telemetry, options: MetricsOptions = {}): Metrics {
  let isReloaded = true;
  const counters = createCounters({ ...options, isReloaded: () => isReloaded });
  const unsubscribe = [
    ...subscribe(telemetry, counters, options.isConfigured ?? (() => true)),
    telemetry.on('config.reloaded', ({ outcome }) => {
      isReloaded = outcome !== 'refused';
    }),
  ];
  let registry: Promise<Registry> | undefined;
  return {
    async text() {
      registry ??= openRegistry(Object.values(counters));
      const opened = await registry;
      return { contentType: opened.contentType, body: await opened.metrics() };
    },
    close() {
      for (const each of unsubscribe) each();
    },
  };
}

type Counters = ReturnType<typeof createCounters>;

/** Every metric, except gauges whose reader is not among the options. */
export function createCounters({
  inFlight,
  connections,
  admission,
  transfers,
  tunnels,
  cache,
  cacheLimit,
  disk,
  ready,
  paused,
  upstreams,
  webhooks,
  schedules,
  certificates,
  hosted,
  uploads,
  isReloaded = () => true,
  version = 'unknown',
}: MetricsOptions & { readonly isReloaded?: () => boolean }) {
  return {
    ...createHostedCounters({ ...(hosted && { hosted }), ...(uploads && { uploads }) }),
    ...createSplitCounters(),
    ...createWebhookCounters({ ...(webhooks && { webhooks }) }),
    ...createScheduleCounters({ ...(schedules && { schedules }) }),
    requests: new Counter({
      name: 'entrepot_http_requests_total',
      help: 'Requests answered or cut (status 0 where no response had begun).',
      labels: ['route', 'registry', 'method', 'status', 'cache'],
    }),
    duration: new Histogram(
      {
        name: 'entrepot_http_request_duration_seconds',
        help: 'Time from the request to the last byte of its response.',
        labels: ['route', 'registry', 'cache'],
      },
      REQUEST_SECONDS,
    ),
    bytes: new Counter({
      name: 'entrepot_http_response_bytes_total',
      help: 'Body bytes sent to clients.',
      labels: ['route', 'registry'],
    }),
    received: new Counter({
      name: 'entrepot_http_request_bytes_total',
      help: 'Body bytes received from clients, and bytes they sent through tunnels.',
      labels: ['route'],
    }),
    handshakes: new Counter({
      name: 'entrepot_mitm_handshakes_failed_total',
      help: 'TLS handshakes that failed in intercepted tunnels; untrusted: the client does not trust our authority.',
      labels: ['reason'],
    }),
    cut: new Counter({
      name: 'entrepot_http_requests_failed_total',
      help: 'Requests that failed midway: the client disconnected, or the response was cut on purpose.',
      labels: ['route', 'registry'],
    }),
    cache: new Counter({
      name: 'entrepot_cache_requests_total',
      help: 'Responses by cache outcome, as in the X-Cache header.',
      labels: ['registry', 'outcome'],
    }),
    stale: new Counter({
      name: 'entrepot_cache_stale_total',
      help: 'Stale responses, served because the upstream did not answer in time.',
      labels: ['registry'],
    }),
    evicted: new Counter({
      name: 'entrepot_cache_evicted_bytes_total',
      help: 'Bytes of evicted blobs.',
    }),
    pauses: new Counter({
      name: 'entrepot_cache_pauses_total',
      help: 'Times caching was paused because the disk or the cache was full.',
    }),
    oversized: new Counter({
      name: 'entrepot_cache_oversized_total',
      help: 'Blobs that were found to be larger than cache.max_size, and are fetched at every pull.',
    }),
    served: new Counter({
      name: 'entrepot_served_bytes_total',
      help: 'Body bytes by source; cache: no upstream had to send them.',
      labels: ['registry', 'source'],
    }),
    ingests: new Counter({
      name: 'entrepot_ingests_total',
      help: 'Finished transfers by outcome.',
      labels: ['registry', 'outcome'],
    }),
    ingestBytes: new Counter({
      name: 'entrepot_ingest_bytes_total',
      help: 'Bytes received from upstreams by transfers.',
      labels: ['registry', 'upstream'],
    }),
    joined: new Counter({
      name: 'entrepot_ingests_joined_total',
      help: 'Readers that joined a running transfer instead of starting one.',
      labels: ['registry'],
    }),
    resumed: new Counter({
      name: 'entrepot_ingests_resumed_total',
      help: 'Times a broken transfer was resumed.',
      labels: ['registry', 'upstream'],
    }),
    ranges: new Counter({
      name: 'entrepot_ranges_passed_total',
      help: 'Ranges of uncached blobs fetched on their own, beside the transfer.',
      labels: ['registry', 'upstream'],
    }),
    upstream: new Counter({
      name: 'entrepot_upstream_requests_total',
      help: 'Requests to upstreams, their token services and redirect targets (status 0: no response).',
      labels: ['registry', 'upstream', 'purpose', 'status'],
    }),
    blocked: new Counter({
      name: 'entrepot_upstream_requests_blocked_total',
      help: 'Requests to upstreams that a firewall, a challenge, a legal or geographic restriction or a web page blocked; tls-reset: the connection was reset during the TLS handshake.',
      labels: ['registry', 'upstream', 'by'],
    }),
    upstreamDuration: new Histogram(
      {
        name: 'entrepot_upstream_request_duration_seconds',
        help: 'Time from a request to the response of its upstream.',
        labels: ['registry', 'upstream', 'purpose'],
      },
      UPSTREAM_SECONDS,
    ),
    failovers: new Counter({
      name: 'entrepot_upstream_failovers_total',
      help: 'Times a request moved on to the next upstream.',
      labels: ['registry', 'from', 'to'],
    }),
    rotten: new Counter({
      name: 'entrepot_cache_rotten_total',
      help: 'Stored blobs found corrupt and to be fetched again, by fault.',
      labels: ['reason'],
    }),
    adopted: new Counter({
      name: 'entrepot_cache_adopted_total',
      help: 'Blob files without a row in the metadata database that were verified and kept.',
    }),
    backups: new Counter({
      name: 'entrepot_metadata_backups_total',
      help: 'Backups of the metadata database by outcome; damaged: the database is, and its earlier backup stays.',
      labels: ['outcome'],
    }),
    spans: new Counter({
      name: 'entrepot_trace_spans_total',
      help: 'Recorded spans by outcome; failed: the collector refused them or did not answer, dropped: the queue was full.',
      labels: ['outcome'],
    }),
    fallbacks: new Counter({
      name: 'entrepot_tls_fallback_total',
      help: 'TLS handshakes that were cut and retried, by the lengths of the first fragment (0: unfragmented).',
      labels: ['from', 'to', 'reason'],
    }),
    openings: new Counter({
      name: 'entrepot_upstream_openings_total',
      help: 'Times requests to an upstream were suspended because it failed or throttled, for all requests or one kind.',
      labels: ['registry', 'upstream', 'scope'],
    }),
    refused: new Counter({
      name: 'entrepot_overload_rejections_total',
      help: 'Requests turned away: the server had no free slot (full, timeout), or the client had used its share (client, rate).',
      labels: ['reason'],
    }),
    decisions: new Counter({
      name: 'entrepot_access_requests_total',
      help: 'Requests that the rules of access refused (denied), allowed, or would have refused without audit mode (would-deny). Allowed ones count once they are answered with success.',
      labels: ['verdict', 'registry'],
    }),
    reloads: new Counter({
      name: 'entrepot_config_reload_total',
      help: 'Reloads of the configuration: changed, unchanged, or refused because it was invalid.',
      labels: ['result'],
    }),
    isReloaded: new Gauge({
      name: 'entrepot_config_last_reload_successful',
      help: '0 if the last reload found an invalid configuration; else 1.',
      read: () => (isReloaded() ? 1 : 0),
    }),
    ...(certificates && {
      certificates: new Gauge({
        name: 'entrepot_tls_certificate_expiry_timestamp_seconds',
        help: 'When the certificate of a listener expires.',
        labels: ['listener'],
        read: () => certificates().map(({ listener, expiresAt }) => ({ values: [listener], value: expiresAt / 1000 })),
      }),
    }),
    orders: new Counter({
      name: 'entrepot_acme_orders_total',
      help: 'Orders of certificates at an ACME server, by outcome: issued or failed.',
      labels: ['outcome'],
    }),
    warnings: new Counter({
      name: 'entrepot_warnings_total',
      help: 'Problems for an operator that failed no request; each is a warning in the log.',
    }),
    build: new Gauge({
      name: 'entrepot_build_info',
      help: 'Always 1; the labels hold the versions of entrepot and Node.',
      labels: ['version', 'node'],
      read: () => [{ values: [version, process.versions.node], value: 1 }],
    }),
    ...(ready && {
      ready: new Gauge({
        name: 'entrepot_ready',
        help: '1 while /readyz reports ready; 0 while the server stops or is overloaded.',
        read: () => (ready() ? 1 : 0),
      }),
    }),
    ...(inFlight && {
      inFlight: new Gauge({ name: 'entrepot_http_requests_in_flight', help: 'Responses in progress.', read: inFlight }),
    }),
    ...(connections && {
      connections: new Gauge({
        name: 'entrepot_http_connections',
        help: 'Client connections, idle ones included.',
        read: connections,
      }),
    }),
    ...(admission && {
      admitted: new Gauge({
        name: 'entrepot_admission_in_flight',
        help: 'Requests that count against limits.max_inflight.',
        read: () => admission.inflight,
      }),
      waiting: new Gauge({
        name: 'entrepot_admission_waiting',
        help: 'Requests waiting for a slot.',
        read: () => admission.waiting,
      }),
      overloaded: new Gauge({
        name: 'entrepot_overloaded',
        help: '1 while requests are turned away because limits.max_inflight is reached; else 0.',
        read: () => (admission.overloaded ? 1 : 0),
      }),
    }),
    ...(tunnels && {
      tunnels: new Gauge({
        name: 'entrepot_forward_tunnels',
        help: 'Open tunnels of the forward proxy.',
        read: tunnels,
      }),
    }),
    ...(transfers && {
      transfers: new Gauge({ name: 'entrepot_ingests_active', help: 'Transfers in progress.', read: transfers }),
    }),
    ...(upstreams && {
      up: new Gauge({
        name: 'entrepot_upstream_up',
        help: '0 while requests to an upstream are suspended because it failed, or it is being retried; else 1.',
        labels: ['registry', 'upstream'],
        read: () =>
          upstreams().map(({ registry, upstream, state, scope }) => ({
            values: [registry, upstream],
            value: state === 'closed' || scope !== 'all' ? 1 : 0,
          })),
      }),
      pullsLeft: new Gauge({
        name: 'entrepot_upstream_pulls_left',
        help: 'Pulls left of the limit a registry reports, by credential; absent where it reports none.',
        labels: ['registry', 'upstream', 'credential'],
        read: () =>
          upstreams().flatMap(({ registry, upstream, quota = [] }) =>
            quota.map(({ credential, remaining }) => ({ values: [registry, upstream, credential], value: remaining })),
          ),
      }),
    }),
    ...(paused && {
      paused: new Gauge({
        name: 'entrepot_cache_paused',
        help: '1 while caching is paused because the disk or the cache is full; else 0.',
        read: () => (paused() ? 1 : 0),
      }),
    }),
    ...(cache && {
      blobs: new Gauge({
        name: 'entrepot_cache_blobs',
        help: 'Blobs in the cache.',
        read: async () => (await cache()).blobs,
      }),
      storedBytes: new Gauge({
        name: 'entrepot_cache_bytes',
        help: 'Bytes of the blobs in the cache.',
        read: async () => (await cache()).bytes,
      }),
    }),
    ...(cacheLimit && {
      limit: new Gauge({
        name: 'entrepot_cache_limit_bytes',
        help: 'cache.max_size; absent without a limit.',
        read: () => {
          const value = cacheLimit();
          return value === undefined ? [] : value;
        },
      }),
    }),
    ...(disk && {
      diskFree: new Gauge({
        name: 'entrepot_cache_disk_free_bytes',
        help: 'Free bytes on the disk of the cache directory, as far as this user may write them.',
        read: async () => (await disk()).free,
      }),
      diskSize: new Gauge({
        name: 'entrepot_cache_disk_size_bytes',
        help: 'Size of the disk of the cache directory.',
        read: async () => (await disk()).total,
      }),
    }),
  };
}

function subscribe(
  telemetry: Telemetry,
  counters: Counters,
  isConfigured: (registry: string) => boolean,
): (() => void)[] {
  function named(registry: string | undefined): string {
    if (registry === undefined) return '';
    return isConfigured(registry) ? registry : 'other';
  }
  /** An upstream of a registry that is no label is none either. */
  function upstreamOf({ registry, upstream }: { registry: string; upstream: string }): string {
    return isConfigured(registry) ? upstream : 'other';
  }
  return [
    telemetry.on('request.finished', (event) => countRequest(counters, event, named(event.registry))),
    telemetry.on('upstream.request', (event) => {
      const labels = [named(event.registry), upstreamOf(event), event.purpose];
      counters.upstream.add(1, ...labels, String(event.status));
      counters.upstreamDuration.observe(event.durationMs / 1000, ...labels);
      if (event.blocked !== undefined) counters.blocked.add(1, named(event.registry), upstreamOf(event), event.blocked);
    }),
    telemetry.on('upstream.failover', (event) => {
      const known = isConfigured(event.registry);
      counters.failovers.add(1, named(event.registry), known ? event.from : 'other', known ? event.to : 'other');
    }),
    telemetry.on('upstream.health', (event) => {
      if (event.state === 'open') counters.openings.add(1, named(event.registry), upstreamOf(event), event.scope);
    }),
    telemetry.on('ingest.joined', (event) => counters.joined.add(1, named(event.registry))),
    telemetry.on('ingest.resumed', (event) => counters.resumed.add(1, named(event.registry), upstreamOf(event))),
    telemetry.on('ingest.finished', (event) => {
      counters.ingests.add(1, named(event.registry), event.outcome);
      for (const { upstream, bytes } of event.upstreams ?? [event]) {
        counters.ingestBytes.add(bytes, named(event.registry), upstreamOf({ ...event, upstream }));
      }
      const labelOf = (upstream: string): string => upstreamOf({ ...event, upstream });
      countSplit(counters, event, { registry: named(event.registry), labelOf });
    }),
    telemetry.on('range.passed', (event) => counters.ranges.add(1, named(event.registry), upstreamOf(event))),
    telemetry.on('cache.swept', ({ freed }) => counters.evicted.add(freed)),
    telemetry.on('cache.paused', () => counters.pauses.add(1)),
    telemetry.on('blob.oversized', () => counters.oversized.add(1)),
    telemetry.on('blob.rotten', ({ reason }) => counters.rotten.add(1, reason)),
    telemetry.on('blob.adopted', () => counters.adopted.add(1)),
    telemetry.on('names.backup', ({ outcome }) => counters.backups.add(1, outcome)),
    telemetry.on('trace.spans', ({ outcome, spans }) => counters.spans.add(spans, outcome)),
    telemetry.on('transport.fallback', ({ from, to, reason }) =>
      counters.fallbacks.add(1, String(from), String(to), reason),
    ),
    telemetry.on('mitm.handshake', ({ reason }) => counters.handshakes.add(1, reason)),
    telemetry.on('overload.refused', ({ reason }) => counters.refused.add(1, reason)),
    telemetry.on('config.reloaded', ({ outcome }) => counters.reloads.add(1, outcome)),
    telemetry.on('certificate.ordered', ({ outcome }) => counters.orders.add(1, outcome)),
    telemetry.on('access.decided', ({ verdict, registry }) =>
      counters.decisions.add(
        1,
        verdict,
        named(registry?.startsWith('mirror:') === true ? registry.slice('mirror:'.length) : registry),
      ),
    ),
    countWebhooks(telemetry, counters),
    countSchedules(telemetry, counters),
    telemetry.on('warning', () => counters.warnings.add(1)),
    ...countHosted(telemetry, counters, named),
  ];
}

function countRequest(counters: Counters, event: RequestFinished, registry: string): void {
  const { route, cache = '', bytes } = event;
  const method = METHODS.has(event.method) ? event.method : 'other';
  counters.requests.add(1, route, registry, method, String(event.status), cache);
  if (route !== 'events') counters.duration.observe(event.durationMs / 1000, route, registry, cache);
  counters.bytes.add(bytes, route, registry);
  if (event.received !== undefined && event.received > 0) counters.received.add(event.received, route);
  if (event.error !== undefined) counters.cut.add(1, route, registry);
  if (cache === '') return;
  counters.cache.add(1, registry, cache);
  if (cache === 'STALE') counters.stale.add(1, registry);
  counters.served.add(bytes, registry, SAVED.has(cache) ? 'cache' : 'upstream');
}
