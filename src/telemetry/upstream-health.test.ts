import assert from 'node:assert/strict';
import { Writable } from 'node:stream';
import { describe, test } from 'node:test';
import { Gauge } from './counters.ts';
import { Telemetry, type UpstreamHealthChange } from './events.ts';
import { createLog } from './log.ts';
import { logEvents } from './log-subscriber.ts';
import { createMetrics, type UpstreamReading } from './metrics.ts';

const change: UpstreamHealthChange = {
  registry: 'docker.io',
  upstream: 'hub',
  scope: 'all',
  state: 'open',
  reason: 'it answered 503',
  retryAfterMs: 1234.56,
};

describe('a change of health', () => {
  test('is a warning where an upstream goes away, a note where it is back, and nothing where it is tried', () => {
    const lines: Record<string, unknown>[] = [];
    const stream = new Writable({
      write(chunk: Buffer, _encoding, done) {
        for (const line of chunk.toString().trim().split('\n')) lines.push(JSON.parse(line) as Record<string, unknown>);
        done();
      },
    });
    const telemetry = new Telemetry();
    logEvents(telemetry, createLog({ level: 'info', format: 'json', stream }));
    telemetry.publish('upstream.health', change);
    telemetry.publish('upstream.health', { ...change, state: 'half-open', retryAfterMs: 0 });
    telemetry.publish('upstream.health', { ...change, state: 'closed', reason: 'it answers again', retryAfterMs: 0 });
    assert.deepEqual(
      lines.map(({ level, msg, upstream, scope, state, reason, retryAfter }) => [
        level,
        msg,
        upstream,
        scope,
        state,
        reason,
        retryAfter,
      ]),
      [
        ['warn', 'upstream.health', 'hub', 'all', 'open', 'it answered 503', 1234.6],
        ['info', 'upstream.health', 'hub', 'all', 'closed', 'it answers again', undefined],
      ],
    );
  });

  test('is counted where it opens; names that clients made up are counted together', async () => {
    const telemetry = new Telemetry();
    const metrics = createMetrics(telemetry, { isConfigured: (registry) => registry === 'docker.io' });
    telemetry.publish('upstream.health', change);
    telemetry.publish('upstream.health', { ...change, scope: 'pull' });
    telemetry.publish('upstream.health', { ...change, state: 'closed' });
    telemetry.publish('upstream.health', { ...change, registry: 'made.up', upstream: 'made.up' });
    const lines = (await metrics.text()).body
      .split('\n')
      .filter((line) => line.startsWith('entrepot_upstream_openings'));
    assert.deepEqual(lines, [
      'entrepot_upstream_openings_total{registry="docker.io",upstream="hub",scope="all"} 1',
      'entrepot_upstream_openings_total{registry="docker.io",upstream="hub",scope="pull"} 1',
      'entrepot_upstream_openings_total{registry="other",upstream="other",scope="all"} 1',
    ]);
    metrics.close();
  });

  test('shows in gauges that are looked up: down for all is 0, for one kind of question it is not', async () => {
    const upstreams: UpstreamReading[] = [
      { registry: 'a', upstream: 'up', state: 'closed', scope: 'all' },
      { registry: 'a', upstream: 'down', state: 'open', scope: 'all' },
      { registry: 'a', upstream: 'tried', state: 'half-open', scope: 'all' },
      { registry: 'a', upstream: 'busy', state: 'open', scope: 'pull', quota: [{ credential: 'ann', remaining: 0 }] },
    ];
    const metrics = createMetrics(new Telemetry(), { upstreams: () => upstreams });
    const read = async (name: string): Promise<string[]> =>
      (await metrics.text()).body.split('\n').filter((line) => line.startsWith(`${name}{`));
    assert.deepEqual(await read('entrepot_upstream_up'), [
      'entrepot_upstream_up{registry="a",upstream="up"} 1',
      'entrepot_upstream_up{registry="a",upstream="down"} 0',
      'entrepot_upstream_up{registry="a",upstream="tried"} 0',
      'entrepot_upstream_up{registry="a",upstream="busy"} 1',
    ]);
    assert.deepEqual(await read('entrepot_upstream_pulls_left'), [
      'entrepot_upstream_pulls_left{registry="a",upstream="busy",credential="ann"} 0',
    ]);
    upstreams.length = 0;
    assert.deepEqual(await read('entrepot_upstream_pulls_left'), [], 'what is no longer known is no longer told');
    metrics.close();
  });
});

describe('Gauge', () => {
  const options = { name: 'x', help: 'X.', labels: ['a'] };

  test('keeps the later of two values with the same labels', async () => {
    const rows = [1, 2].map((value) => ({ values: ['same'], value }));
    const { values } = await new Gauge({ ...options, read: () => rows }).get();
    assert.deepEqual(values, [{ labels: { a: 'same' }, value: 2 }]);
  });

  test('is empty where it cannot be read', async () => {
    const broken = new Gauge({
      ...options,
      read: () => {
        throw new Error('no');
      },
    });
    assert.deepEqual((await broken.get()).values, []);
  });
});
