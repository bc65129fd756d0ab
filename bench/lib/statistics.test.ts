import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { median, percentile, spread } from './statistics.ts';

describe('median()', () => {
  for (const [samples, middle] of [
    [[5], 5],
    [[10, 9, 2], 9],
    [[4, 1, 2, 3], 2.5],
  ] as const) {
    test(`of ${samples.join(', ')} is ${middle}`, () => assert.equal(median(samples), middle));
  }

  test('of nothing is an error', () => assert.throws(() => median([]), RangeError));
});

describe('spread()', () => {
  test('is half the range, as a part of the median', () => assert.equal(spread([9, 10, 12]), 0.15));
  test('of nothing but zeros is none', () => assert.equal(spread([0, 0]), 0));
});

describe('percentile()', () => {
  const hundred = Array.from({ length: 100 }, (_, at) => 100 - at);
  test('is by the nearest rank', () => {
    assert.deepEqual(
      [0, 0.5, 0.99, 1].map((part) => percentile(hundred, part)),
      [1, 50, 99, 100],
    );
    assert.equal(percentile([7], 0.99), 7);
  });
  test('of nothing is an error', () => assert.throws(() => percentile([], 0.5), RangeError));
});
