import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { rightFirst } from './right-first.ts';

describe('blobs that an upstream gave wrongly', () => {
  const rows: readonly [wrong: Record<string, number>, order: string][] = [
    [{}, 'abc'],
    [{ a: 5 }, 'bca'],
    [{ b: 5 }, 'acb'],
    [{ a: 9, b: 5 }, 'cba'],
    [{ a: 1, b: 2, c: 3 }, 'abc'],
    [{ a: 3, b: 2, c: 1 }, 'cba'],
  ];
  for (const [wrong, order] of rows) {
    test(`${JSON.stringify(wrong)} lets the upstreams be asked in the order ${order}`, () => {
      assert.equal(rightFirst(['a', 'b', 'c'], (name) => wrong[name]).join(''), order);
    });
  }
});
