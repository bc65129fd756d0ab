import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { compareTags, FirstTags, orderOf } from './version-order.ts';

const ORDERED = [
  '0.9',
  '1',
  '1-alpine',
  '1.9',
  '1.10.0-alpha',
  '1.10.0-rc2',
  '1.10.0-rc10',
  '1.10.0',
  'v1.10.0',
  '1.10.0-alpine3.9',
  '1.10.0-alpine3.18',
  '1.10.1',
  '2024.01.31',
  '20240131',
  'latest',
  'main-9',
  'main-10',
  'stable',
  `sha256-${'a'.repeat(64)}`,
  `sha256-${'a'.repeat(64)}.sig`,
];

const compare = (a: string, b: string): number => Math.sign(compareTags(orderOf(a), orderOf(b)));
const TAG = fc.stringMatching(/^[A-Za-z0-9_][A-Za-z0-9._-]{0,12}$/);

describe('compareTags()', () => {
  test('puts versions in their order, then names, then names made of digests', () => {
    assert.deepEqual(ORDERED.toReversed().toSorted(compare), ORDERED);
  });

  test('is a total order: each two tags have one, and three never go round in a circle', () => {
    const anyTag = fc.oneof(TAG, fc.constantFrom(...ORDERED));
    fc.assert(
      fc.property(anyTag, anyTag, anyTag, (a, b, c) => {
        assert.equal(compare(a, b), -compare(b, a) + 0);
        assert.equal(compare(a, b) === 0, a === b);
        if (compare(a, b) <= 0 && compare(b, c) <= 0) assert.ok(compare(a, c) <= 0);
      }),
    );
  });
});

describe('FirstTags', () => {
  test('chooses what a sorted list has at that place', () => {
    fc.assert(
      fc.property(fc.uniqueArray(TAG), fc.integer({ min: 1, max: 5 }), fc.option(TAG), (tags, limit, after) => {
        const first = new FirstTags<{ tag: string }>({ limit, after: after ?? undefined });
        for (const tag of tags) first.add({ tag });
        const expected = tags.filter((tag) => after === null || compare(tag, after) > 0).toSorted(compare);
        assert.deepEqual(
          first.list().map(({ tag }) => tag),
          expected.slice(0, limit),
        );
      }),
    );
  });
});
