import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { digestOf } from '../../oci/index.ts';
import { rightFirst, WRONG_FOR_MS, WrongBlobs } from './wrong-blobs.ts';

const LAYER = digestOf(Buffer.from('layer'));

describe('blobs that an upstream gave wrongly', () => {
  test('are remembered for a while', () => {
    let now = 1_000_000;
    const wrong = new WrongBlobs(() => now);
    assert.equal(wrong.since(LAYER), undefined);
    wrong.add(LAYER);
    now += WRONG_FOR_MS;
    assert.equal(wrong.since(LAYER), 1_000_000);
    now += 1;
    assert.equal(wrong.since(LAYER), undefined);
  });

  test('are remembered for a bounded number of digests', () => {
    const wrong = new WrongBlobs(() => 0);
    wrong.add(LAYER);
    for (let i = 0; i < 1000; i += 1) wrong.add(digestOf(Buffer.from(`${i}`)));
    assert.equal(wrong.since(LAYER), undefined);
  });

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
