import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Lru } from './lru.ts';

describe('Lru', () => {
  test('forgets what was used longest ago', () => {
    const lru = new Lru<number>({ maxWeight: 2 });
    lru.set('a', 1);
    lru.set('b', 2);
    assert.equal(lru.get('a'), 1);
    lru.set('c', 3);
    assert.equal(lru.get('b'), undefined);
    assert.equal(lru.get('a'), 1);
    assert.equal(lru.get('c'), 3);
  });

  test('keeps its weight under the limit and right over replacements and deletions', () => {
    const lru = new Lru<Buffer>({ maxWeight: 10, weigh: (bytes) => bytes.length });
    lru.set('a', Buffer.alloc(4));
    lru.set('a', Buffer.alloc(6));
    assert.equal(lru.weight, 6);
    lru.set('b', Buffer.alloc(5));
    assert.equal(lru.get('a'), undefined);
    assert.equal(lru.weight, 5);
    assert.equal(lru.delete('b'), true);
    assert.equal(lru.delete('b'), false);
    assert.equal(lru.weight, 0);
  });

  test('gives the newest value to those who ask for one key again and again', () => {
    const lru = new Lru<number>({ maxWeight: 2 });
    lru.set('a', 1);
    assert.deepEqual([lru.get('a'), lru.get('a')], [1, 1]);
    lru.set('a', 2);
    assert.deepEqual([lru.get('a'), lru.get('a')], [2, 2]);
    lru.set('b', 3);
    lru.set('c', 4);
    assert.equal(lru.get('a'), undefined);
    lru.get('b');
    lru.get('b');
    lru.set('d', 5);
    assert.deepEqual([lru.get('b'), lru.get('c')], [3, undefined]);
    assert.equal(lru.delete('b'), true);
    assert.equal(lru.get('b'), undefined);
    lru.clear();
    lru.set('d', 5);
    lru.get('d');
    lru.set('e', 6);
    // Used after the newer one came: the newer one goes first.
    lru.get('d');
    lru.set('f', 7);
    assert.deepEqual([lru.get('e'), lru.get('d')], [undefined, 5]);
    lru.get('d');
    lru.clear();
    assert.equal(lru.get('d'), undefined);
  });

  test('does not keep one entry that is heavier than everything may be', () => {
    const lru = new Lru<Buffer>({ maxWeight: 3, weigh: (bytes) => bytes.length });
    lru.set('small', Buffer.alloc(2));
    lru.set('huge', Buffer.alloc(4));
    assert.equal(lru.get('huge'), undefined);
    assert.ok(lru.get('small'));
  });

  test('lists what it keeps without using it, and forgets everything at once', () => {
    const lru = new Lru<number>({ maxWeight: 2 });
    lru.set('a', 1);
    lru.set('b', 2);
    lru.get('a');
    assert.deepEqual(
      [...lru.entries()],
      [
        ['b', 2],
        ['a', 1],
      ],
    );
    lru.set('c', 3);
    assert.equal(lru.get('b'), undefined);
    lru.clear();
    assert.deepEqual([[...lru.entries()], lru.weight], [[], 0]);
  });
});
