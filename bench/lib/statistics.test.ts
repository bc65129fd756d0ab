import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { median, spread } from './statistics.ts';

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
