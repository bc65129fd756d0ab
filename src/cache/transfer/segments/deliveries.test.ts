import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { OriginBlob } from '../../../oci/index.ts';
import { Deliveries } from './deliveries.ts';

function bodyOf(upstream: string): OriginBlob {
  const body = { read: () => Promise.resolve(undefined), cancel: () => {} };
  return { offset: 0, size: 1000, visibility: 'public', upstream, body };
}

const hub = bodyOf('hub');
const mirror = bodyOf('mirror');

describe('Deliveries', () => {
  test('measures the rate of a connection, and of all connections to an upstream', () => {
    const deliveries = new Deliveries();
    const connections = new Map([
      ['hub', 1],
      ['mirror', 2],
    ]);
    deliveries.step(0, connections);
    for (let at = 0; at < 8; at += 1) {
      deliveries.came(hub, at * 400, at * 400 + 100);
      deliveries.came(mirror, at * 400 + 100, at * 400 + 400);
      deliveries.step((at + 1) * 250, connections);
    }
    assert.deepEqual(deliveries.rateOf('hub'), { rate: 400, steps: 8 });
    assert.deepEqual(deliveries.rateOf('mirror'), { rate: 600, steps: 8 });
    assert.deepEqual(
      deliveries.shares((upstream) => connections.get(upstream) ?? 0),
      [
        { upstream: 'hub', connections: 1, bytes: 800, bytesPerSecond: 400 },
        { upstream: 'mirror', connections: 2, bytes: 2400, bytesPerSecond: 1200 },
      ],
    );
  });

  test('measures one that sends nothing, and forgets what it once did', () => {
    const deliveries = new Deliveries();
    const connections = new Map([['mirror', 1]]);
    deliveries.step(0, connections);
    assert.deepEqual(deliveries.rateOf('mirror'), { rate: undefined, steps: 0 });
    deliveries.step(250, connections);
    assert.deepEqual(deliveries.rateOf('mirror'), { rate: 0, steps: 1 });
    deliveries.came(mirror, 0, 1000);
    deliveries.step(500, connections);
    const { rate: before = 0 } = deliveries.rateOf('mirror');
    for (let at = 3; at < 8; at += 1) deliveries.step(at * 250, connections);
    assert.ok((deliveries.rateOf('mirror').rate ?? 0) < before / 20);
  });

  test('keeps the rate of a connection while there is none, and while one begins or ends', () => {
    const deliveries = new Deliveries();
    deliveries.step(0, new Map([['hub', 1]]));
    deliveries.came(hub, 0, 100);
    deliveries.step(250, new Map([['hub', 1]]));
    deliveries.step(500, new Map());
    deliveries.step(750, new Map());
    deliveries.step(1000, new Map([['hub', 3]]));
    assert.deepEqual(deliveries.rateOf('hub'), { rate: 400, steps: 1 });
    assert.deepEqual(
      deliveries.shares(() => 0).map(({ bytesPerSecond }) => bytesPerSecond),
      [27],
    );
  });

  test('knows who delivered what besides an upstream', () => {
    const deliveries = new Deliveries();
    deliveries.came(hub, 0, 10);
    deliveries.came(mirror, 10, 20);
    assert.deepEqual(deliveries.spansBesides('hub'), [{ start: 10, end: 20, upstream: 'mirror' }]);
    assert.deepEqual(deliveries.sourcesBesides('hub'), [mirror]);
    assert.equal(deliveries.sourceOf('mirror'), mirror);
    deliveries.reset();
    assert.deepEqual([deliveries.spansBesides('hub'), deliveries.sourcesBesides('hub')], [[], []]);
  });
});
