import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { parseDuration } from './duration.ts';

const read: readonly (readonly [string | number, number])[] = [
  [0, 0],
  ['0', 0],
  ['0s', 0],
  ['500ms', 500],
  ['10s', 10_000],
  ['1.5s', 1500],
  ['10m', 600_000],
  ['1h30m', 5_400_000],
  ['1h30m5s20ms', 5_405_020],
  ['7d', 604_800_000],
];

const refused: readonly (string | number)[] = [
  '',
  10,
  '10',
  '-1s',
  '+1s',
  '1 s',
  ' 1s',
  '1s ',
  '1.s',
  '.5s',
  's',
  '1x',
  '1S',
  '1s2',
  '1e3s',
  'forever',
  '101y',
  '9999999d',
  Number.NaN,
  `${'1'.repeat(70)}s`,
];

describe('parseDuration', () => {
  for (const [text, milliseconds] of read) {
    test(`${text} is ${milliseconds} ms`, () => assert.equal(parseDuration(text), milliseconds));
  }
  for (const text of refused) {
    test(`${JSON.stringify(text)} is refused`, () => assert.equal(parseDuration(text), undefined));
  }
});
