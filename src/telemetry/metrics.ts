import type { Metric, Registry } from 'prom-client';
import type { CacheOutcome, RequestFinished, Telemetry, UpstreamRequestEnded } from './events.ts';
import { loadPromClient } from './load-prom-client.ts';
import { Counter, Gauge, GaugeSet, Histogram } from './tally.ts';

export interface MetricsOptions {
  /** Responses under way. */
  readonly inFlight?: () => number;
  /** Connections of clients, idle ones included. */
  readonly connections?: () => number;
  /** Requests within limits.max_inflight, those that wait for a place, and whether some were just turned away. */
  readonly admission?: { readonly inflight: number; readonly waiting: number; readonly overloaded: boolean };
  /** Transfers under way. */
  readonly transfers?: () => number;
  /** Tunnels of the forward proxy that are open. */
  readonly tunnels?: () => number;
  /** What is stored. */
  readonly cache?: () => Promise<{ readonly blobs: number; readonly bytes: number }>;
  /** Whether what is pulled is not kept for now. */
  readonly paused?: () => boolean;
  /** The certificates in use. `expiresAt`: milliseconds since the epoch. */
  readonly certificates?: () => readonly { readonly listener: string; readonly expiresAt: number }[];
  /** How the configured upstreams fare, those that were asked. */
  readonly upstreams?: () => readonly UpstreamReading[];
  /** Of this program, for `entrepot_build_info`. */
  readonly version?: string;
  /**
   * Whether a registry's name may be a label. Names that clients made up on the way (an open mirror takes any) are
   * counted together as `other`. @default every name
   */
  readonly isConfigured?: (registry: string) => boolean;
}

/** One upstream as it is now. */
export interface UpstreamReading {
  readonly registry: string;
  readonly upstream: string;
  readonly state: 'closed' | 'open' | 'half-open';
  /** `all`, or the kind of question it is left alone with. */
  readonly scope: string;
  readonly quota?: readonly { readonly credential: string; readonly remaining: number }[];
}

/** The counts of a running server, in the text form Prometheus reads. */
export interface Metrics {
  text(): Promise<{ readonly contentType: string; readonly body: string }>;
  /** Stops counting. */
  close(): void;
}

const METHODS = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'CONNECT']);

/** Answered from what was here, or from a transfer that was under way anyway: bytes no upstream had to send again. */
const SAVED: ReadonlySet<CacheOutcome> = new Set<CacheOutcome>(['HIT', 'JOIN', 'REVALIDATED', 'STALE']);

/** Seconds. From a manifest out of memory to a large layer over a slow line. */
const REQUEST_SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300];

/** Seconds to the answer's head, or to the end of a small exchange. */
const UPSTREAM_SECONDS = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];

/**
 * Counts what is published, from now on. Labels hold names of the configuration and words of closed sets, never a
 * repository, a path or anything else a client can choose.
 *
 * prom-client, which costs 40 ms, is loaded when metrics are first read: it adds the process's own metrics (memory, CPU,
 * garbage collection, event loop), which therefore begin then, and writes the text.
 */
export function createMetrics(telemetry: Telemetry, options: MetricsOptions = {}): Metrics {
  let isReloaded = true;
  const tallies = createTallies({ ...options, isReloaded: () => isReloaded });
  const unsubscribe = [
    ...subscribe(telemetry, tallies, options.isConfigured ?? (() => true)),
    telemetry.on('config.reloaded', ({ outcome }) => {
      isReloaded = outcome !== 'refused';
    }),
  ];
  let registry: Promise<Registry> | undefined;
  return {
    async text() {
      registry ??= openRegistry(Object.values(tallies));
      const opened = await registry;
      return { contentType: opened.contentType, body: await opened.metrics() };
    },
    close() {
      for (const each of unsubscribe) each();
    },
  };
}

type Tallies = ReturnType<typeof createTallies>;

/** Every metric there is, as far as the options give what it reads. */
export function createTallies({
  inFlight,
  connections,
  admission,
  transfers,
  tunnels,
  cache,
  paused,
  upstreams,
  certificates,
  isReloaded = () => true,
  version = 'unknown',
}: MetricsOptions & { readonly isReloaded?: () => boolean }) {
  return {
    requests: new Counter({
      name: 'entrepot_http_requests_total',
      help: 'Requests answered, or cut (status 0 where no answer had begun).',
      labels: ['route', 'registry', 'method', 'status', 'cache'],
    }),
    duration: new Histogram(
      {
        name: 'entrepot_http_request_duration_seconds',
        help: 'From the request to the last byte of its answer.',
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
      help: 'Body bytes from clients, and what they sent through tunnels.',
      labels: ['route'],
    }),
    handshakes: new Counter({
      name: 'entrepot_mitm_handshakes_failed_total',
      help: 'TLS handshakes in tunnels that are looked into which came to nothing; untrusted: the client does not know our authority.',
      labels: ['reason'],
    }),
    cut: new Counter({
      name: 'entrepot_http_requests_failed_total',
      help: 'Requests that ended with an error of their own: a client that left, an answer cut on purpose.',
      labels: ['route', 'registry'],
    }),
    cache: new Counter({
      name: 'entrepot_cache_requests_total',
      help: 'Answers by what the cache did for them, as the X-Cache header says.',
      labels: ['registry', 'outcome'],
    }),
    stale: new Counter({
      name: 'entrepot_cache_stale_total',
      help: 'Answers that were older than they should be, since the upstream did not answer in time.',
      labels: ['registry'],
    }),
    evicted: new Counter({
      name: 'entrepot_cache_evicted_bytes_total',
      help: 'Bytes of blobs that were evicted to make room.',
      labels: [],
    }),
    pauses: new Counter({
      name: 'entrepot_cache_pauses_total',
      help: 'Times the cache stopped keeping what was pulled, as the disk or the cache was full.',
      labels: [],
    }),
    served: new Counter({
      name: 'entrepot_served_bytes_total',
      help: 'Body bytes by where they came from: cache counts the bytes no upstream had to send.',
      labels: ['registry', 'source'],
    }),
    ingests: new Counter({
      name: 'entrepot_ingests_total',
      help: 'Transfers that ended, by how.',
      labels: ['registry', 'outcome'],
    }),
    ingestBytes: new Counter({
      name: 'entrepot_ingest_bytes_total',
      help: 'Bytes that upstreams sent for transfers.',
      labels: ['registry', 'upstream'],
    }),
    joined: new Counter({
      name: 'entrepot_ingests_joined_total',
      help: 'Readers that followed a transfer instead of starting one.',
      labels: ['registry'],
    }),
    resumed: new Counter({
      name: 'entrepot_ingests_resumed_total',
      help: 'Times a broken transfer went on where it had stopped.',
      labels: ['registry', 'upstream'],
    }),
    ranges: new Counter({
      name: 'entrepot_ranges_passed_total',
      help: 'Parts of cold blobs that were fetched for themselves.',
      labels: ['registry', 'upstream'],
    }),
    upstream: new Counter({
      name: 'entrepot_upstream_requests_total',
      help: 'Requests to other registries, their token services and redirect targets (status 0: no answer).',
      labels: ['registry', 'upstream', 'purpose', 'status'],
    }),
    upstreamDuration: new Histogram(
      {
        name: 'entrepot_upstream_request_duration_seconds',
        help: 'From the request to the answer of the other side.',
        labels: ['registry', 'upstream', 'purpose'],
      },
      UPSTREAM_SECONDS,
    ),
    failovers: new Counter({
      name: 'entrepot_upstream_failovers_total',
      help: 'Times the next upstream was asked.',
      labels: ['registry', 'from', 'to'],
    }),
    rotten: new Counter({
      name: 'entrepot_cache_rotten_total',
      help: 'Stored blobs that turned out wrong and are fetched afresh, by what was wrong with them.',
      labels: ['reason'],
    }),
    adopted: new Counter({
      name: 'entrepot_cache_adopted_total',
      help: 'Files of blobs that nothing was known of any more, found right and kept.',
      labels: [],
    }),
    fallbacks: new Counter({
      name: 'entrepot_tls_fallback_total',
      help: 'Handshakes that were cut and tried again, by the lengths of the first fragment (0: in one piece).',
      labels: ['from', 'to', 'reason'],
    }),
    openings: new Counter({
      name: 'entrepot_upstream_openings_total',
      help: 'Times an upstream was left alone for a while because it failed or throttled, for all questions or one kind.',
      labels: ['registry', 'upstream', 'scope'],
    }),
    refused: new Counter({
      name: 'entrepot_overload_rejections_total',
      help: 'Requests turned away for which there was no place on the server (full, timeout) or of their client (client, rate).',
      labels: ['reason'],
    }),
    reloads: new Counter({
      name: 'entrepot_config_reload_total',
      help: 'Times the configuration was read again: changed, unchanged, or refused because it was wrong.',
      labels: ['result'],
    }),
    isReloaded: new Gauge({
      name: 'entrepot_config_last_reload_successful',
      help: '0 where the configuration was wrong when it was last read again; else 1.',
      read: () => (isReloaded() ? 1 : 0),
    }),
    ...(certificates && {
      certificates: new GaugeSet({
        name: 'entrepot_tls_certificate_expiry_timestamp_seconds',
        help: 'When the certificate of a listener expires.',
        labels: ['listener'],
        read: () => certificates().map(({ listener, expiresAt }) => ({ values: [listener], value: expiresAt / 1000 })),
      }),
    }),
    warnings: new Counter({
      name: 'entrepot_warnings_total',
      help: 'Troubles an operator should know of that ended no request, each a warning in the log.',
      labels: [],
    }),
    build: new Gauge({
      name: 'entrepot_build_info',
      help: 'Always 1; the labels say what runs.',
      labels: { version, node: process.versions.node },
      read: () => 1,
    }),
    ...(inFlight && {
      inFlight: new Gauge({ name: 'entrepot_http_requests_in_flight', help: 'Answers under way.', read: inFlight }),
    }),
    ...(connections && {
      connections: new Gauge({
        name: 'entrepot_http_connections',
        help: 'Connections of clients, idle ones included.',
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
        help: 'Requests that wait for a place.',
        read: () => admission.waiting,
      }),
      overloaded: new Gauge({
        name: 'entrepot_overloaded',
        help: '1 while requests are turned away because the server has as many as it takes; else 0.',
        read: () => (admission.overloaded ? 1 : 0),
      }),
    }),
    ...(tunnels && {
      tunnels: new Gauge({ name: 'entrepot_forward_tunnels', help: 'Tunnels open.', read: tunnels }),
    }),
    ...(transfers && {
      transfers: new Gauge({ name: 'entrepot_ingests_active', help: 'Transfers under way.', read: transfers }),
    }),
    ...(upstreams && {
      up: new GaugeSet({
        name: 'entrepot_upstream_up',
        help: '0 while an upstream is left alone because it failed, or is being tried again; else 1.',
        labels: ['registry', 'upstream'],
        read: () =>
          upstreams().map(({ registry, upstream, state, scope }) => ({
            values: [registry, upstream],
            value: state === 'closed' || scope !== 'all' ? 1 : 0,
          })),
      }),
      pullsLeft: new GaugeSet({
        name: 'entrepot_upstream_pulls_left',
        help: 'Pulls a registry says are left of its limit, by credential; absent where it names none.',
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
        help: '1 while what is pulled is not kept, as the disk or the cache is full; else 0.',
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
  };
}

function subscribe(
  telemetry: Telemetry,
  tallies: Tallies,
  isConfigured: (registry: string) => boolean,
): (() => void)[] {
  function named(registry: string | undefined): string {
    if (registry === undefined) return '';
    return isConfigured(registry) ? registry : 'other';
  }
  /** An upstream made up with its registry is no better a label than it. */
  function upstreamOf({ registry, upstream }: { registry: string; upstream: string }): string {
    return isConfigured(registry) ? upstream : 'other';
  }
  return [
    telemetry.on('request.finished', (event) => countRequest(tallies, event, named(event.registry))),
    telemetry.on('upstream.request', (event) =>
      countUpstream(tallies, event, [named(event.registry), upstreamOf(event), event.purpose]),
    ),
    telemetry.on('upstream.failover', (event) => {
      const known = isConfigured(event.registry);
      tallies.failovers.add(1, named(event.registry), known ? event.from : 'other', known ? event.to : 'other');
    }),
    telemetry.on('upstream.health', (event) => {
      if (event.state === 'open') tallies.openings.add(1, named(event.registry), upstreamOf(event), event.scope);
    }),
    telemetry.on('ingest.joined', (event) => tallies.joined.add(1, named(event.registry))),
    telemetry.on('ingest.resumed', (event) => tallies.resumed.add(1, named(event.registry), upstreamOf(event))),
    telemetry.on('ingest.finished', (event) => {
      tallies.ingests.add(1, named(event.registry), event.outcome);
      tallies.ingestBytes.add(event.bytes, named(event.registry), upstreamOf(event));
    }),
    telemetry.on('range.passed', (event) => tallies.ranges.add(1, named(event.registry), upstreamOf(event))),
    telemetry.on('cache.swept', ({ freed }) => tallies.evicted.add(freed)),
    telemetry.on('cache.paused', () => tallies.pauses.add(1)),
    telemetry.on('blob.rotten', ({ reason }) => tallies.rotten.add(1, reason)),
    telemetry.on('blob.adopted', () => tallies.adopted.add(1)),
    telemetry.on('transport.fallback', ({ from, to, reason }) =>
      tallies.fallbacks.add(1, String(from), String(to), reason),
    ),
    telemetry.on('mitm.handshake', ({ reason }) => tallies.handshakes.add(1, reason)),
    telemetry.on('overload.refused', ({ reason }) => tallies.refused.add(1, reason)),
    telemetry.on('config.reloaded', ({ outcome }) => tallies.reloads.add(1, outcome)),
    telemetry.on('warning', () => tallies.warnings.add(1)),
  ];
}

function countRequest(tallies: Tallies, event: RequestFinished, registry: string): void {
  const { route, cache = '', bytes } = event;
  const method = METHODS.has(event.method) ? event.method : 'other';
  tallies.requests.add(1, route, registry, method, String(event.status), cache);
  tallies.duration.observe(event.durationMs / 1000, route, registry, cache);
  tallies.bytes.add(bytes, route, registry);
  if (event.received !== undefined && event.received > 0) tallies.received.add(event.received, route);
  if (event.error !== undefined) tallies.cut.add(1, route, registry);
  if (cache === '') return;
  tallies.cache.add(1, registry, cache);
  if (cache === 'STALE') tallies.stale.add(1, registry);
  tallies.served.add(bytes, registry, SAVED.has(cache) ? 'cache' : 'upstream');
}

function countUpstream(tallies: Tallies, event: UpstreamRequestEnded, labels: readonly string[]): void {
  tallies.upstream.add(1, ...labels, String(event.status));
  tallies.upstreamDuration.observe(event.durationMs / 1000, ...labels);
}

async function openRegistry(tallies: readonly object[]): Promise<Registry> {
  const { collectDefaultMetrics, Registry } = await loadPromClient();
  const registry = new Registry();
  // A registry asks a metric for nothing but its name and get(), which prom-client's type does not say.
  for (const tally of tallies) registry.registerMetric(tally as unknown as Metric);
  collectDefaultMetrics({ register: registry, prefix: 'entrepot_' });
  return registry;
}
