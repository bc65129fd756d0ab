import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { nearest } from './nearest.ts';

const WORDS = ['listen', 'cache', 'log', 'max_size', 'fresh_for', 'timeouts'];

const rows: readonly (readonly [string, string | undefined])[] = [
  ['cachee', 'cache'],
  ['cahce', 'cache'],
  ['lsiten', 'listen'],
  ['Cache', 'cache'],
  ['lisen', 'listen'],
  ['max-size', 'max_size'],
  ['timeout', 'timeouts'],
  ['logs', 'log'],
  ['zzz', undefined],
  ['registries', undefined],
  ['', undefined],
  ['x'.repeat(10_000), undefined],
];

describe('nearest', () => {
  for (const [word, expected] of rows) {
    test(`${word.slice(0, 20) || '(empty)'} → ${expected ?? 'nothing'}`, () =>
      assert.equal(nearest(word, WORDS), expected));
  }
});
