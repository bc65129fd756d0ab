import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { addRate, mergePull, mergeTransfer, speedBetween } from './merge.ts';

type Pull = Parameters<typeof mergePull>[1];

function pull(id: string, change: Partial<Pull> = {}): Pull {
  return {
    id,
    at: 0,
    running: true,
    registry: 'docker.io',
    repository: 'library/nginx',
    reference: 'latest',
    client: '10.0.0.1',
    outcome: 'miss',
    requests: 1,
    hits: 0,
    bytes: 0,
    fetched: 0,
    durationMs: 0,
    ...change,
  };
}

function ended(of: Pull): Pull {
  const { running, ...rest } = of;
  assert.equal(running, true);
  return rest;
}

describe('pulls', () => {
  test('one that began goes to the front, progress keeps its place', () => {
    const two = mergePull([pull('a')], pull('b'));
    assert.deepEqual(
      two.map(({ id }) => id),
      ['b', 'a'],
    );
    const moved = mergePull(two, pull('a', { bytes: 5 }));
    assert.deepEqual(
      moved.map(({ id, bytes }) => [id, bytes]),
      [
        ['b', 0],
        ['a', 5],
      ],
    );
  });

  test('one that has ended stays until it is removed, and is not added', () => {
    assert.deepEqual(
      mergePull([pull('a')], ended(pull('a'))).map(({ running }) => running),
      [undefined],
    );
    assert.deepEqual(mergePull([], ended(pull('a'))), []);
  });

  test('no more are kept than the server lists', () => {
    const many = Array.from({ length: 200 }, (_, at) => pull(String(at)));
    assert.equal(mergePull(many, pull('new')).length, 200);
  });
});

test('a message about a transfer keeps its last rate, and nothing else', () => {
  const transfer = {
    id: 't',
    registry: 'docker.io',
    repository: 'library/nginx',
    upstream: 'registry-1.docker.io',
    bytes: 1,
    followers: 1,
    startedAt: 0,
  };
  const known = { ...transfer, segments: 4, bytesPerSecond: 100 };
  const message = { ...transfer, bytes: 2, gain: 2 };
  // It came down to one connection.
  assert.deepEqual(mergeTransfer([known], message), [{ ...message, bytesPerSecond: 100 }]);
  assert.deepEqual(mergeTransfer([known], { ...message, bytesPerSecond: 7 }), [{ ...message, bytesPerSecond: 7 }]);
});

test('rates cover five minutes, and none comes twice', () => {
  const rate = (at: number) => ({ at, requests: 1, hits: 0, bytes: 0, fetched: 0 });
  const full = Array.from({ length: 60 }, (_, at) => rate(at));
  assert.deepEqual(
    [addRate(full, rate(60)).length, addRate(full, rate(60)).at(-1)?.at, addRate(full, rate(59)).length],
    [60, 60, 60],
  );
});

test('a speed is that between two looks', () => {
  assert.equal(speedBetween({ bytes: 100, at: 0 }, { bytes: 1100, at: 500 }), 2000);
  assert.equal(speedBetween({ bytes: 100, at: 0 }, { bytes: 1100, at: 50 }), undefined);
  assert.equal(speedBetween({ bytes: 100, at: 0 }, { bytes: 0, at: 500 }), 0);
});
