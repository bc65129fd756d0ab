import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type Digest, parseDigest } from '../oci/index.ts';
import { type RequestFinished, Telemetry } from './events.ts';
import { createLog, type LogLevel } from './log.ts';
import { type LogEventsOptions, logEvents } from './log-subscriber.ts';

const digest = parseDigest(`sha256:${'a'.repeat(64)}`) as Digest;
const ingest = { id: 't-1', registry: 'docker.io', repository: 'library/nginx', digest, upstream: 'hub' };
const request: RequestFinished = {
  id: 'a-1',
  method: 'GET',
  path: '/v2/library/nginx/manifests/latest',
  status: 200,
  bytes: 1234,
  durationMs: 42.04,
  client: '127.0.0.1',
  userAgent: 'containerd/2.1',
  route: 'registry',
  registry: 'docker.io',
  repository: 'library/nginx',
  upstream: 'registry-1.docker.io',
  cache: 'MISS',
  error: undefined,
};

function setUp(level: LogLevel, options?: LogEventsOptions) {
  const lines: Record<string, unknown>[] = [];
  const telemetry = new Telemetry();
  const log = createLog({ level, stream: { write: (line) => lines.push(JSON.parse(line)) } });
  const stop = logEvents(telemetry, log, options);
  return { telemetry, lines, stop };
}

describe('logEvents', () => {
  test('writes what changed in a hosted repository, and who changed it', () => {
    const { telemetry, lines } = setUp('info');
    const moved = { registry: 'apps', repository: 'team/app', tag: 'v1', digest, by: 'alice', client: '192.0.2.7' };
    telemetry.publish('tag.moved', { ...moved, from: undefined });
    telemetry.publish('tag.deleted', moved);
    telemetry.publish('blob.pushed', { registry: 'apps', repository: 'team/app', digest, size: 1, how: 'uploaded' });
    assert.deepEqual(
      lines.map(({ ts, ...line }) => (assert.match(String(ts), /./), line)),
      ['tag.moved', 'tag.deleted'].map((msg) => ({ level: 'info', msg, ...moved })),
    );
  });

  test('writes a line per request, with the names Rewriting Mirror has', () => {
    const { telemetry, lines } = setUp('info');
    telemetry.publish('request.finished', request);
    const { ts, ...line } = lines[0] ?? {};
    assert.equal(typeof ts, 'string');
    assert.deepEqual(line, {
      level: 'info',
      msg: 'request',
      id: 'a-1',
      method: 'GET',
      path: '/v2/library/nginx/manifests/latest',
      status: 200,
      bytes: 1234,
      duration: 42,
      client: '127.0.0.1',
      route: 'registry',
      registry: 'docker.io',
      repository: 'library/nginx',
      upstream: 'registry-1.docker.io',
      cache: 'MISS',
    });
  });

  test('a request that failed on our side is a warning; a missing image is not', () => {
    const { telemetry, lines } = setUp('info');
    for (const status of [404, 429, 500, 503]) telemetry.publish('request.finished', { ...request, status });
    assert.deepEqual(
      lines.map((line) => line['level']),
      ['info', 'info', 'warn', 'warn'],
    );
  });

  test('without the access log, only warnings remain', () => {
    const { telemetry, lines } = setUp('info', { access: false });
    telemetry.publish('request.finished', request);
    telemetry.publish('warning', { message: 'the disk is full', error: new Error('ENOSPC') });
    assert.deepEqual(
      lines.map(({ level, msg, error }) => [level, msg, error]),
      [['warn', 'the disk is full', { type: 'Error', message: 'ENOSPC' }]],
    );
  });

  test('upstream requests, decisions and transfers are told when debugging, and not listened to otherwise', () => {
    const debugging = setUp('debug');
    const quiet = setUp('info');
    for (const { telemetry } of [debugging, quiet]) {
      const { registry, repository, upstream } = ingest;
      telemetry.publish('upstream.request', {
        registry,
        upstream,
        method: 'GET',
        url: 'https://registry-1.docker.io/v2/',
        status: 401,
        durationMs: 12,
        purpose: 'api',
      });
      telemetry.publish('upstream.failover', { registry, from: 'hot', to: 'cold', reason: 'not found' });
      telemetry.publish('transport.fallback', { host: 'h', from: 3, to: 1, reason: 'reset' });
      telemetry.publish('upstream.quota', {
        registry,
        upstream: 'hub',
        credential: 'anonymous',
        limit: 100,
        remaining: 76,
        windowSeconds: 21_600,
      });
      telemetry.publish('upstream.health', {
        registry,
        upstream: 'hub',
        scope: 'all',
        state: 'half-open',
        reason: 'it answered 503',
        retryAfterMs: 0,
      });
      telemetry.publish('ingest.started', ingest);
      telemetry.publish('ingest.joined', { ...ingest, followers: 2 });
      telemetry.publish('ingest.resumed', { ...ingest, offset: 10, reason: 'reset' });
      telemetry.publish('ingest.finished', { ...ingest, bytes: 20, durationMs: 5, outcome: 'committed' });
      telemetry.publish('range.passed', { registry, repository, digest, upstream });
      telemetry.publish('cache.decision', {
        registry,
        repository,
        reference: 'latest',
        outcome: 'MISS',
        reason: 'new',
      });
      telemetry.publish('webhook.delivery', { hook: 'ci', event: 'push', delivery: 'd-1', outcome: 'delivered' });
    }
    assert.deepEqual(
      debugging.lines.map(({ msg }) => msg),
      [
        'upstream.request',
        'upstream.failover',
        'transport.fallback',
        'upstream.quota',
        'upstream.health',
        'ingest.started',
        'ingest.joined',
        'ingest.resumed',
        'ingest.finished',
        'range.passed',
        'cache.decision',
        'webhook.delivery',
      ],
    );
    assert.deepEqual(quiet.lines, []);
    assert.deepEqual(
      [debugging.telemetry.hears('upstream.request'), quiet.telemetry.hears('upstream.request')],
      [true, false],
    );
  });

  test('a webhook that fails or loses something is a warning, and one that is back is not', () => {
    const { telemetry, lines } = setUp('info');
    const reason = 'it answered 500';
    telemetry.publish('webhook.state', { hook: 'ci', state: 'failing', reason, queued: 3 });
    telemetry.publish('webhook.lost', { hook: 'ci', reason, deliveries: 1 });
    telemetry.publish('webhook.state', { hook: 'ci', state: 'working', queued: 0 });
    telemetry.publish('webhook.state', { hook: 'ci', state: 'gone', reason, queued: 0 });
    assert.deepEqual(
      lines.map(({ level, msg, hook, state }) => [level, msg, hook, state]),
      [
        ['warn', 'webhook.state', 'ci', 'failing'],
        ['warn', 'webhook.lost', 'ci', undefined],
        ['info', 'webhook.state', 'ci', 'working'],
        ['warn', 'webhook.state', 'ci', 'gone'],
      ],
    );
  });

  test('a transfer that failed is a warning with its reason', () => {
    const { telemetry, lines } = setUp('info');
    telemetry.publish('ingest.finished', {
      ...ingest,
      bytes: 2,
      durationMs: 5,
      outcome: 'failed',
      reason: 'wrong digest',
    });
    assert.deepEqual(
      [lines[0]?.['level'], lines[0]?.['reason'], lines[0]?.['digest']],
      ['warn', 'wrong digest', digest],
    );
  });

  test('a transfer over several connections says what each upstream delivered', () => {
    const { telemetry, lines } = setUp('debug');
    const upstreams = [
      { upstream: 'hub', bytes: 600 },
      { upstream: 'mirror', bytes: 300 },
    ];
    const ended = { ...ingest, bytes: 900, durationMs: 5, outcome: 'committed' } as const;
    telemetry.publish('ingest.finished', { ...ended, connections: 3, gain: 2.5, upstreams });
    telemetry.publish('ingest.finished', ended);
    assert.deepEqual(
      lines.map(({ connections, gain, upstreams }) => [connections, gain, upstreams]),
      [
        [3, 2.5, { hub: 600, mirror: 300 }],
        [undefined, undefined, undefined],
      ],
    );
  });

  test('overload is a line when it begins and one when it is over, however many are turned away', () => {
    const { telemetry, lines } = setUp('info');
    telemetry.publish('overload.began', { inflight: 50, waiting: 3 });
    telemetry.publish('overload.refused', { reason: 'full' });
    telemetry.publish('overload.ended', { refused: 1, durationMs: 6000 });
    assert.deepEqual(
      lines.map(({ level, msg, inflight, refused }) => [level, msg, inflight, refused]),
      [
        ['warn', 'requests are turned away: limits.max_inflight', 50, undefined],
        ['info', 'no request is turned away any more', undefined, 1],
      ],
    );
  });

  test('a pause of caching is a warning with its reason, and its end is information', () => {
    const { telemetry, lines } = setUp('info');
    telemetry.publish('cache.paused', { reason: 'the disk is full', until: 5 });
    telemetry.publish('cache.resumed', {});
    assert.deepEqual(
      lines.map(({ level, msg, reason }) => [level, msg, reason]),
      [
        ['warn', 'caching is paused', 'the disk is full'],
        ['info', 'caching is resumed', undefined],
      ],
    );
  });

  test('a client that does not trust us is told of; one that hung up only when debugging', () => {
    const { telemetry, lines } = setUp('info');
    const handshake = { host: 'ghcr.io', client: '10.0.0.7', detail: 'ERR_SSL' };
    telemetry.publish('mitm.handshake', { ...handshake, reason: 'aborted' });
    telemetry.publish('mitm.handshake', { ...handshake, reason: 'untrusted' });
    assert.deepEqual(
      lines.map(({ level, host, client, reason }) => [level, host, client, reason]),
      [['info', 'ghcr.io', '10.0.0.7', 'untrusted']],
    );
  });

  test('what was said in a tunnel is for debugging, and what could be secret is masked once more', () => {
    const exchange = {
      method: 'GET',
      url: 'https://ghcr.io/v2/',
      status: 200,
      requestHeaders: { authorization: 'Bearer s3cret', accept: 'a/b' },
      responseHeaders: { 'set-cookie': 's3cret' },
    };
    for (const [level, count] of [
      ['info', 0],
      ['debug', 1],
    ] as const) {
      const { telemetry, lines } = setUp(level);
      telemetry.publish('mitm.exchange', exchange);
      assert.equal(lines.length, count);
      assert.ok(!JSON.stringify(lines).includes('s3cret'));
    }
  });

  test('says nothing more when stopped', () => {
    const { telemetry, lines, stop } = setUp('debug');
    stop();
    telemetry.publish('request.finished', request);
    telemetry.publish('warning', { message: 'a' });
    assert.deepEqual(lines, []);
  });
});
