import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Recent } from './recent.ts';

describe('Recent', () => {
  test('keeps a key for its time, which begins again when it is added again', () => {
    let now = 1_000_000;
    const recent = new Recent({ most: 10, lasts: 100, now: () => now });
    assert.deepEqual([recent.has('a'), recent.since('a')], [false, undefined]);
    recent.add('a');
    now += 99;
    assert.deepEqual([recent.since('a'), recent.has('b')], [1_000_000, false]);
    recent.add('a');
    now += 99;
    assert.ok(recent.has('a'));
    now += 1;
    assert.ok(!recent.has('a'));
  });

  test('forgets a key that is deleted, and all when it is cleared', () => {
    const recent = new Recent({ most: 10, lasts: 100, now: () => 0 });
    for (const key of ['a', 'b', 'c']) recent.add(key);
    recent.delete('a');
    assert.deepEqual([recent.has('a'), recent.has('b')], [false, true]);
    recent.clear();
    assert.ok(!recent.has('b'));
  });

  test('forgets a key when the clock is set back to before it', () => {
    let now = 1_000_000;
    const recent = new Recent({ most: 10, lasts: 100, now: () => now });
    recent.add('a');
    now -= 1;
    assert.ok(!recent.has('a'));
  });

  test('keeps no more keys than it is told', () => {
    const recent = new Recent({ most: 2, lasts: 100, now: () => 0 });
    for (const key of ['a', 'b', 'c']) recent.add(key);
    assert.deepEqual(
      ['a', 'b', 'c'].map((key) => recent.has(key)),
      [false, true, true],
    );
  });
});
