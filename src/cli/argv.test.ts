import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { normalizeArguments, withCommand } from './argv.ts';

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

const lines: readonly (readonly [string, string])[] = [
  ['--config x', 'serve --config x'],
  ['-c x --check-upstreams', 'serve -c x --check-upstreams'],
  ['--listen=:1', 'serve --listen=:1'],
  ['--validate', 'config validate'],
  ['--validate --config x', 'config validate --config x'],
  ['-c x --check-upstreams=refuse --validate', 'config validate -c x'],
  ['--print-default-config', 'config default'],
  ['--config x --print-default-config', 'config default'],
  ['--version', '--version'],
  ['--help', '--help'],
  ['serve --config x', 'serve --config x'],
  ['config validate', 'config validate'],
  ['serve --validate', 'serve --validate'],
  ['--lisen x', '--lisen x'],
];

describe('withCommand', () => {
  for (const [given, expected] of lines) {
    test(`${given} → ${expected}`, () => {
      const found = withCommand(given.split(' '), ['-c', '--config', '--listen', '--check-upstreams']);
      assert.deepEqual(found, expected.split(' '));
    });
  }
});
