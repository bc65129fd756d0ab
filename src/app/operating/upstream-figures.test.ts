import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Telemetry, type UpstreamRequestEnded } from '../../telemetry/index.ts';
import { credentialOf } from './registries.ts';
import { KEPT_TIMES, UpstreamCounters } from './upstream-figures.ts';

const REQUEST: UpstreamRequestEnded = {
  registry: 'docker.io',
  upstream: 'hub',
  method: 'GET',
  url: 'https://hub.example/v2/',
  status: 200,
  durationMs: 10,
  purpose: 'api',
};

function counting() {
  const telemetry = new Telemetry();
  const counters = new UpstreamCounters(telemetry);
  const add = (event: Partial<UpstreamRequestEnded>): void =>
    telemetry.publish('upstream.request', { ...REQUEST, ...event });
  return { telemetry, counters, add };
}

describe('UpstreamCounters', () => {
  test('knows nothing of an upstream that was not asked', () => {
    const { counters } = counting();
    assert.deepEqual(counters.of('docker.io', 'hub'), { requests: 0, failures: 0, bytes: 0, latencyMs: undefined });
  });

  test('counts what failed: no response, or a status of 500 and above; a request that was given up is none', () => {
    const { counters, add } = counting();
    for (const status of [200, 404, 429, 500, 503]) add({ status });
    add({ status: 0, error: 'timeout' });
    add({ status: 0, error: 'aborted' });
    const { requests, failures } = counters.of('docker.io', 'hub');
    assert.deepEqual({ requests, failures }, { requests: 7, failures: 3 });
  });

  test('gives the median of the last times, of the upstream itself alone', () => {
    const { counters, add } = counting();
    for (let at = 0; at < KEPT_TIMES; at++) add({ durationMs: 9999 });
    for (let at = 1; at <= KEPT_TIMES; at++) add({ durationMs: at });
    for (const purpose of ['token', 'redirect'] as const) add({ purpose, durationMs: 5000 });
    assert.equal(counters.of('docker.io', 'hub').latencyMs, (KEPT_TIMES + 1) / 2);
    add({ durationMs: 1000 });
    assert.equal(counters.of('docker.io', 'hub').latencyMs, (KEPT_TIMES + 1) / 2 + 1);
  });

  test('sorts times as numbers', () => {
    const { counters, add } = counting();
    for (const durationMs of [100, 20, 3]) add({ durationMs });
    assert.equal(counters.of('docker.io', 'hub').latencyMs, 20);
  });

  test('adds the bytes of transfers, of each upstream its own', () => {
    const { counters, telemetry } = counting();
    const transfer = { id: 'a', registry: 'docker.io', repository: 'library/app', digest: undefined, durationMs: 1 };
    for (const upstream of ['hub', 'hub', 'other']) {
      telemetry.publish('ingest.finished', { ...transfer, upstream, bytes: 5, outcome: 'committed' });
    }
    assert.equal(counters.of('docker.io', 'hub').bytes, 10);
    assert.equal(counters.of('docker.io', 'other').bytes, 5);
  });

  test('keeps two thousand upstreams, and counts no more after it is closed', () => {
    const { counters, add } = counting();
    for (let at = 0; at <= 2000; at++) add({ registry: `r${at}` });
    assert.equal(counters.of('r0', 'hub').requests, 0);
    assert.equal(counters.of('r1', 'hub').requests, 1);
    counters.close();
    add({ registry: 'r1' });
    assert.equal(counters.of('r1', 'hub').requests, 1);
  });
});

describe('credentialOf()', () => {
  const password = 'hush';
  const rows: readonly (readonly [of: Parameters<typeof credentialOf>[0], shown: string | undefined])[] = [
    [{ credentials: undefined, headers: {} }, undefined],
    [{ credentials: { username: 'ada', password }, headers: {} }, 'ada'],
    [{ credentials: { username: 'ada:hush', password }, headers: {} }, 'ada:***'],
    [{ credentials: { username: { env: 'HUB_USER' }, password: { env: 'HUB_PASSWORD' } }, headers: {} }, '$HUB_USER'],
    [{ credentials: { username: { file: '/run/user' }, password }, headers: {} }, '/run/user'],
    [{ credentials: { helper: 'ecr-login' }, headers: {} }, 'docker-credential-ecr-login'],
    [
      {
        credentials: [
          { username: 'ada', password },
          { username: 'eve', password },
        ],
        headers: {},
      },
      'ada, eve',
    ],
    [{ credentials: undefined, headers: { Authorization: 'Bearer hush' } }, 'the authorization header'],
  ];
  for (const [of, shown] of rows) test(String(shown), () => assert.equal(credentialOf(of), shown));
});
