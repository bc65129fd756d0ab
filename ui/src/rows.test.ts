import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { visibleRows } from './rows.ts';

describe('visibleRows', () => {
  const ask = (top: number, count = 100_000) => visibleRows({ top, height: 880, rowHeight: 44, count });

  test('draws the window and a little more, of 100,000 rows too', () => {
    assert.deepEqual(ask(0), { first: 0, end: 32 });
    assert.deepEqual(ask(-44 * 50_000), { first: 49_988, end: 50_032 });
  });

  test('stays within the rows', () => {
    assert.deepEqual(ask(-44 * 100_000), { first: 99_988, end: 100_000 });
    assert.deepEqual(ask(0, 5), { first: 0, end: 5 });
    assert.deepEqual(ask(0, 0), { first: 0, end: 0 });
    assert.deepEqual(ask(5000), { first: 0, end: 0 });
    assert.deepEqual(ask(-44 * 200_000), { first: 100_000, end: 100_000 });
  });
});
