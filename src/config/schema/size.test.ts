import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { parseSize, parseUnitSize } from './size.ts';

const read: readonly (readonly [string | number, number])[] = [
  [0, 0],
  [1024, 1024],
  ['1024', 1024],
  ['10B', 10],
  ['16KiB', 16_384],
  ['1kb', 1000],
  ['512MiB', 536_870_912],
  ['50GB', 50_000_000_000],
  ['50 GB', 50_000_000_000],
  ['1.5gib', 1_610_612_736],
  ['2TB', 2e12],
  ['1TiB', 1_099_511_627_776],
];

const refused: readonly (string | number)[] = [
  '',
  '50G',
  '50g',
  'GB',
  '-1',
  -1,
  1.5,
  Number.POSITIVE_INFINITY,
  '1e9',
  '50  GB',
  '50GBB',
  '9999999TB',
  '50Gb/s',
];

describe('parseSize', () => {
  for (const [text, bytes] of read) {
    test(`${text} is ${bytes} bytes`, () => assert.equal(parseSize(text), bytes));
  }
  for (const text of refused) {
    test(`${JSON.stringify(text)} is refused`, () => assert.equal(parseSize(text), undefined));
  }
});

describe('parseUnitSize', () => {
  for (const text of [1, 50, '50', 1_048_575]) {
    test(`${JSON.stringify(text)} is refused: its unit was forgotten`, () =>
      assert.equal(parseUnitSize(text), undefined));
  }
  for (const [text, bytes] of [
    [0, 0],
    ['0', 0],
    ['50B', 50],
    ['1kB', 1000],
    [1_048_576, 1_048_576],
    ['50000000000', 50e9],
  ] as const) {
    test(`${JSON.stringify(text)} is ${bytes} bytes`, () => assert.equal(parseUnitSize(text), bytes));
  }
});
