import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { normalizeArguments } from './argv.ts';

const rows: readonly (readonly [string, string])[] = [
  ['serve -config x.yaml', 'serve --config x.yaml'],
  ['serve -listen=:8080', 'serve --listen=:8080'],
  ['serve -cache-dir=/x -domain-suffix m', 'serve --cache-dir=/x --domain-suffix m'],
  ['serve --config x', 'serve --config x'],
  ['-c x', '-c x'],
  ['-c=x', '-c x'],
  ['-c=a=b', '-c a=b'],
  ['-V -h', '-V -h'],
  ['-version', '--version'],
  ['- -1 -5s', '- -1 -5s'],
  ['serve -- -config', 'serve -- -config'],
];

describe('normalizeArguments', () => {
  for (const [given, expected] of rows) {
    test(`${given} → ${expected}`, () => assert.deepEqual(normalizeArguments(given.split(' ')), expected.split(' ')));
  }
});
