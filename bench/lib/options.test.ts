import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { parseCoreList } from './machine.ts';
import { readOptions } from './options.ts';

const KNOWN = ['B1', 'B3'];

describe('readOptions()', () => {
  test('has defaults for everything', () => {
    const expected = {
      ids: [],
      json: undefined,
      size: 256 * 2 ** 20,
      runs: 3,
      blobs: 100_000,
      unpinned: false,
      beside: undefined,
    };
    assert.deepEqual(readOptions([], KNOWN), expected);
  });

  test('reads ids in either case, and sizes with their unit', () => {
    const { ids, size } = readOptions(['b3', '--size', '1GiB'], KNOWN);
    assert.deepEqual(ids, ['B3']);
    assert.equal(size, 2 ** 30);
  });

  for (const args of [
    ['B9'],
    ['--size', '1GB'],
    ['--size', '1MiB'],
    ['--runs', '0'],
    ['--blobs', 'many'],
    ['--fast'],
  ]) {
    test(`refuses ${args.join(' ')}`, () => assert.throws(() => readOptions(args, KNOWN)));
  }
});

describe('parseCoreList()', () => {
  for (const [list, cores] of [
    ['0-1', [0, 1]],
    ['3', [3]],
    ['0-2,5,8-9', [0, 1, 2, 5, 8, 9]],
    ['', []],
  ] as const) {
    test(`reads "${list}"`, () => assert.deepEqual(parseCoreList(list), cores));
  }
});
