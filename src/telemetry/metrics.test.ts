import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type Digest, parseDigest } from '../oci/index.ts';
import { type RequestFinished, Telemetry } from './events.ts';
import { createMetrics, type MetricsOptions } from './metrics.ts';

const digest = parseDigest(`sha256:${'a'.repeat(64)}`) as Digest;
const ingest = { id: 't-1', registry: 'docker.io', repository: 'library/nginx', digest, upstream: 'hub' };
const request: RequestFinished = {
  id: 'a-1',
  method: 'GET',
  path: '/v2/library/nginx/blobs/x',
  status: 200,
  bytes: 1000,
  durationMs: 42,
  client: '127.0.0.1',
  userAgent: undefined,
  route: 'registry',
  registry: 'docker.io',
  repository: 'library/nginx',
  upstream: 'hub',
  cache: 'HIT',
  error: undefined,
};
const upstreamRequest = {
  registry: 'docker.io',
  upstream: 'hub',
  method: 'GET',
  url: 'https://registry-1.docker.io/v2/',
  status: 200,
  durationMs: 12,
  purpose: 'api',
} as const;

function setUp(options?: MetricsOptions) {
  const telemetry = new Telemetry();
  const metrics = createMetrics(telemetry, options);
  return { telemetry, metrics, lines: async () => (await metrics.text()).body.split('\n') };
}

describe('createMetrics', () => {
  test('counts what is pushed to hosted repositories, and what is there', async () => {
    const { telemetry, lines } = setUp({
      hosted: () => Promise.resolve({ repositories: 3, digests: 20, bytes: 4000 }),
      uploads: () => ({ open: 5, busy: 2, bytes: 600 }),
      isConfigured: (registry) => registry === 'apps',
    });
    const where = { registry: 'apps', repository: 'team/app' };
    const who = { by: 'alice', client: '127.0.0.1' };
    const pushed = { ...where, ...who, digest, mediaType: 'text/x', size: 10, tags: ['v1'] };
    telemetry.publish('blob.pushed', { ...where, digest, size: 100, how: 'uploaded' });
    telemetry.publish('blob.pushed', { ...where, digest, size: 100, how: 'mounted' });
    telemetry.publish('blob.pushed', { ...where, digest, size: 100, how: 'present' });
    telemetry.publish('manifest.pushed', pushed);
    telemetry.publish('manifest.pushed', { ...pushed, registry: 'invented' });
    telemetry.publish('tag.moved', { ...where, ...who, tag: 'v1', digest, from: undefined });
    telemetry.publish('tag.deleted', { ...where, ...who, tag: 'v1', digest });
    telemetry.publish('manifest.deleted', { ...where, ...who, digest, tags: [] });
    telemetry.publish('blob.deleted', { ...where, digest, by: 'alice' });
    telemetry.publish('hosted.collected', { records: 2, files: 1, bytes: 77 });
    const text = await lines();
    const changes = ['blob uploaded', 'blob mounted', 'blob present', 'blob deleted'];
    changes.push('manifest pushed', 'manifest deleted', 'tag moved', 'tag deleted');
    for (const line of [
      ...changes.map((change) => `entrepot_hosted_changes_total{registry="apps",change="${change}"} 1`),
      'entrepot_hosted_changes_total{registry="other",change="manifest pushed"} 1',
      'entrepot_hosted_pushed_bytes_total{registry="apps"} 210',
      'entrepot_hosted_collected_bytes_total 77',
      'entrepot_hosted_repositories 3',
      'entrepot_hosted_digests 20',
      'entrepot_hosted_bytes 4000',
      'entrepot_uploads_open 5',
      'entrepot_uploads_busy 2',
      'entrepot_uploads_bytes 600',
    ]) {
      assert.ok(text.includes(line), line);
    }
  });

  test('counts events from before metrics were first read', async () => {
    const { telemetry, lines } = setUp();
    telemetry.publish('request.finished', request);
    telemetry.publish('request.finished', request);
    telemetry.publish('request.finished', { ...request, cache: 'MISS', bytes: 70 });
    const text = await lines();
    for (const line of [
      'entrepot_http_requests_total{route="registry",registry="docker.io",method="GET",status="200",cache="HIT"} 2',
      'entrepot_http_requests_total{route="registry",registry="docker.io",method="GET",status="200",cache="MISS"} 1',
      'entrepot_http_response_bytes_total{route="registry",registry="docker.io"} 2070',
      'entrepot_cache_requests_total{registry="docker.io",outcome="HIT"} 2',
      'entrepot_served_bytes_total{registry="docker.io",source="cache"} 2000',
      'entrepot_served_bytes_total{registry="docker.io",source="upstream"} 70',
      'entrepot_http_request_duration_seconds_bucket{route="registry",registry="docker.io",cache="HIT",le="0.025"} 0',
      'entrepot_http_request_duration_seconds_bucket{route="registry",registry="docker.io",cache="HIT",le="0.05"} 2',
      'entrepot_http_request_duration_seconds_bucket{route="registry",registry="docker.io",cache="HIT",le="+Inf"} 2',
      'entrepot_http_request_duration_seconds_sum{route="registry",registry="docker.io",cache="HIT"} 0.084',
      'entrepot_http_request_duration_seconds_count{route="registry",registry="docker.io",cache="HIT"} 2',
    ])
      assert.ok(text.includes(line), `missing: ${line}`);
  });

  test('counts transfers, upstream requests and failovers', async () => {
    const { telemetry, lines } = setUp({ isConfigured: (registry) => registry !== 'made.up' });
    telemetry.publish('ingest.started', ingest);
    telemetry.publish('ingest.joined', { ...ingest, followers: 1 });
    telemetry.publish('ingest.resumed', { ...ingest, offset: 1, reason: 'reset' });
    telemetry.publish('ingest.finished', { ...ingest, bytes: 500, durationMs: 1, outcome: 'committed' });
    const upstreams = [
      { upstream: 'hub', bytes: 600 },
      { upstream: 'mirror', bytes: 300 },
    ];
    const split = { ...ingest, bytes: 900, durationMs: 1, outcome: 'committed', connections: 3 } as const;
    telemetry.publish('ingest.finished', { ...split, upstreams });
    telemetry.publish('ingest.finished', { ...split, upstreams, registry: 'made.up' });
    telemetry.publish('range.passed', { ...ingest });
    telemetry.publish('upstream.request', upstreamRequest);
    telemetry.publish('upstream.request', { ...upstreamRequest, status: 403, blocked: 'firewall' });
    telemetry.publish('upstream.failover', { registry: 'apps', from: 'hot', to: 'cold', reason: 'x' });
    telemetry.publish('transport.fallback', { host: 'h', from: 3, to: 1, reason: 'reset' });
    telemetry.publish('warning', { message: 'x' });
    const text = await lines();
    for (const line of [
      'entrepot_ingests_total{registry="docker.io",outcome="committed"} 2',
      'entrepot_ingest_bytes_total{registry="docker.io",upstream="hub"} 1100',
      'entrepot_ingest_bytes_total{registry="docker.io",upstream="mirror"} 300',
      'entrepot_ingests_split_total{registry="docker.io"} 1',
      'entrepot_ingest_split_bytes_total{registry="docker.io",upstream="hub"} 600',
      'entrepot_ingest_split_bytes_total{registry="docker.io",upstream="mirror"} 300',
      'entrepot_ingest_split_bytes_total{registry="other",upstream="other"} 900',
      'entrepot_ingests_joined_total{registry="docker.io"} 1',
      'entrepot_ingests_resumed_total{registry="docker.io",upstream="hub"} 1',
      'entrepot_ranges_passed_total{registry="docker.io",upstream="hub"} 1',
      'entrepot_upstream_requests_total{registry="docker.io",upstream="hub",purpose="api",status="200"} 1',
      'entrepot_upstream_requests_total{registry="docker.io",upstream="hub",purpose="api",status="403"} 1',
      'entrepot_upstream_requests_blocked_total{registry="docker.io",upstream="hub",by="firewall"} 1',
      'entrepot_upstream_request_duration_seconds_count{registry="docker.io",upstream="hub",purpose="api"} 2',
      'entrepot_upstream_failovers_total{registry="apps",from="hot",to="cold"} 1',
      'entrepot_tls_fallback_total{from="3",to="1",reason="reset"} 1',
      'entrepot_warnings_total 1',
    ])
      assert.ok(text.includes(line), `missing: ${line}`);
  });

  test('counts what was evicted, served stale and not kept', async () => {
    const { telemetry, lines } = setUp({ paused: () => true });
    telemetry.publish('cache.swept', { freed: 700, left: 1, blobs: 2 });
    telemetry.publish('cache.paused', { reason: 'the disk is full' });
    telemetry.publish('request.finished', { ...request, cache: 'STALE' });
    const text = await lines();
    for (const line of [
      'entrepot_cache_evicted_bytes_total 700',
      'entrepot_cache_pauses_total 1',
      'entrepot_cache_paused 1',
      'entrepot_cache_stale_total{registry="docker.io"} 1',
    ])
      assert.ok(text.includes(line), `missing: ${line}`);
  });

  test('counts who is turned away, and shows who waits', async () => {
    const { telemetry, lines } = setUp({ admission: { inflight: 7, waiting: 2, overloaded: true } });
    telemetry.publish('overload.refused', { reason: 'full' });
    telemetry.publish('overload.refused', { reason: 'rate' });
    telemetry.publish('overload.refused', { reason: 'rate' });
    const text = await lines();
    for (const line of [
      'entrepot_overload_rejections_total{reason="full"} 1',
      'entrepot_overload_rejections_total{reason="rate"} 2',
      'entrepot_admission_in_flight 7',
      'entrepot_admission_waiting 2',
      'entrepot_overloaded 1',
    ])
      assert.ok(text.includes(line), `missing: ${line}`);
  });

  test('counts deliveries to webhooks, and shows what waits', async () => {
    const { telemetry, lines } = setUp({ webhooks: () => [{ hook: 'ci', queued: 7 }] });
    for (const outcome of ['failed', 'failed', 'delivered', 'given-up', 'dropped'] as const) {
      telemetry.publish('webhook.delivery', { hook: 'ci', event: 'push', delivery: 'd-1', outcome });
    }
    const text = await lines();
    for (const line of [
      'entrepot_webhook_deliveries_total{hook="ci",event="push",outcome="failed"} 2',
      'entrepot_webhook_deliveries_total{hook="ci",event="push",outcome="delivered"} 1',
      'entrepot_webhook_deliveries_total{hook="ci",event="push",outcome="given-up"} 1',
      'entrepot_webhook_deliveries_total{hook="ci",event="push",outcome="dropped"} 1',
      'entrepot_webhook_queue_length{hook="ci"} 7',
    ])
      assert.ok(text.includes(line), line);
  });

  test('counts tunnels, what clients sent, and handshakes that came to nothing', async () => {
    const { telemetry, lines } = setUp({ tunnels: () => 3 });
    const tunnel = { ...request, method: 'CONNECT', route: 'tunnel', registry: undefined, cache: undefined };
    telemetry.publish('request.finished', { ...tunnel, bytes: 700, received: 40 });
    telemetry.publish('request.finished', { ...tunnel, status: 403, bytes: 0, error: 'not allowed' });
    const failed = { host: 'ghcr.io', client: '10.0.0.7', reason: 'untrusted', detail: 'ERR_SSL' } as const;
    telemetry.publish('mitm.handshake', failed);
    const text = await lines();
    for (const line of [
      'entrepot_forward_tunnels 3',
      'entrepot_http_requests_total{route="tunnel",method="CONNECT",status="403"} 1',
      'entrepot_http_response_bytes_total{route="tunnel"} 700',
      'entrepot_http_request_bytes_total{route="tunnel"} 40',
      'entrepot_mitm_handshakes_failed_total{reason="untrusted"} 1',
    ])
      assert.ok(text.includes(line), line);
  });

  test('says what runs, how much is under way, and how the process fares', async () => {
    let inFlight = 3;
    const { lines } = setUp({
      version: '1.2.3',
      inFlight: () => inFlight,
      connections: () => 9,
      transfers: () => 2,
      cache: async () => ({ blobs: 5, bytes: 4096 }),
    });
    assert.ok((await lines()).includes('entrepot_http_requests_in_flight 3'));
    inFlight = 4;
    const text = await lines();
    for (const line of [
      'entrepot_http_requests_in_flight 4',
      'entrepot_http_connections 9',
      'entrepot_ingests_active 2',
      'entrepot_cache_blobs 5',
      'entrepot_cache_bytes 4096',
    ])
      assert.ok(text.includes(line), `missing: ${line}`);
    assert.ok(text.includes(`entrepot_build_info{version="1.2.3",node="${process.versions.node}"} 1`));
    assert.ok(text.some((line) => /^entrepot_process_resident_memory_bytes \d+$/.test(line)));
    assert.ok(text.some((line) => line.startsWith('entrepot_nodejs_eventloop_lag')));
  });

  test('a number that cannot be had does not take the others with it', async () => {
    const { lines } = setUp({ cache: () => Promise.reject(new Error('the database is locked')), inFlight: () => 1 });
    const text = await lines();
    assert.ok(text.includes('entrepot_http_requests_in_flight 1'));
    assert.ok(!text.some((line) => line.startsWith('entrepot_cache_bytes ')));
  });

  test('is the text format of Prometheus, one HELP and TYPE per metric', async () => {
    const { telemetry, metrics } = setUp();
    telemetry.publish('request.finished', { ...request, registry: undefined, cache: undefined, route: 'health' });
    const { contentType, body } = await metrics.text();
    assert.equal(contentType, 'text/plain; version=0.0.4; charset=utf-8');
    const names = [...body.matchAll(/^# TYPE (\S+) /gm)].map((match) => match[1]);
    assert.equal(new Set(names).size, names.length);
    for (const line of body.split('\n'))
      assert.match(
        line,
        /^$|^# (HELP|TYPE) |^entrepot_[a-z0-9_]+(\{[a-z_]+="[^"]*"(,[a-z_]+="[^"]*")*\})? [-+0-9.eNaInf]+$/,
      );
    assert.ok(body.includes('entrepot_http_requests_total{route="health",method="GET",status="200"} 1'));
  });

  test('no client can make series grow: odd methods, unconfigured registries, endless label sets', async () => {
    const { telemetry, lines } = setUp({ isConfigured: (name) => name === 'docker.io' });
    for (let index = 0; index < 500; index++) {
      const registry = `made-up-${index}.example`;
      telemetry.publish('request.finished', { ...request, registry, method: `M${index}` });
      telemetry.publish('upstream.request', { ...upstreamRequest, registry, upstream: registry });
      telemetry.publish('upstream.failover', { registry, from: registry, to: registry, reason: 'x' });
      telemetry.publish('ingest.finished', {
        ...ingest,
        registry,
        upstream: registry,
        bytes: 1,
        durationMs: 1,
        outcome: 'failed',
      });
    }
    const text = await lines();
    assert.ok(!text.some((line) => line.includes('made-up')));
    assert.ok(
      text.includes(
        'entrepot_http_requests_total{route="registry",registry="other",method="other",status="200",cache="HIT"} 500',
      ),
    );

    const unguarded = setUp();
    for (let index = 0; index < 5000; index++)
      unguarded.telemetry.publish('request.finished', { ...request, registry: `made-up-${index}.example` });
    const series = (await unguarded.lines()).filter((line) => line.startsWith('entrepot_cache_requests_total{'));
    assert.equal(series.length, 2001);
    assert.ok(series.includes('entrepot_cache_requests_total{registry="other",outcome="other"} 3000'));
  });

  test('tells of schedules by their labels: how runs ended, when, and whether the last one failed', async () => {
    const readings = [
      { label: 'base', kind: 'warm', failing: false, lastAt: 1000, nextAt: 2500 },
      { label: 'copy[0]', kind: 'copy', failing: true, lastAt: undefined, nextAt: undefined },
    ] as const;
    const { telemetry, lines } = setUp({ schedules: () => Promise.resolve(readings) });
    const run = {
      recovered: false,
      by: 'schedule',
      startedAt: 0,
      endedAt: 1,
      done: 0,
      failed: 1,
      fetched: 0,
      errors: [],
    };
    for (const outcome of ['failed', 'failed', 'stopped'] as const) {
      telemetry.publish('schedule.ended', { ...run, schedule: 'hot/secret', label: 'copy[0]', kind: 'copy', outcome });
    }
    const found = (await lines()).filter((line) => line.startsWith('entrepot_schedule_'));
    assert.deepEqual(found.sort(), [
      'entrepot_schedule_failing{schedule="base",kind="warm"} 0',
      'entrepot_schedule_failing{schedule="copy[0]",kind="copy"} 1',
      'entrepot_schedule_last_run_timestamp_seconds{schedule="base",kind="warm"} 1',
      'entrepot_schedule_next_run_timestamp_seconds{schedule="base",kind="warm"} 2.5',
      'entrepot_schedule_runs_total{schedule="copy[0]",kind="copy",outcome="failed"} 2',
      'entrepot_schedule_runs_total{schedule="copy[0]",kind="copy",outcome="stopped"} 1',
    ]);
  });

  test('counts nothing more when closed', async () => {
    const { telemetry, metrics, lines } = setUp();
    metrics.close();
    telemetry.publish('request.finished', request);
    assert.ok(!(await lines()).some((line) => line.startsWith('entrepot_http_requests_total{')));
    assert.ok(!telemetry.hears('request.finished'));
  });
});
