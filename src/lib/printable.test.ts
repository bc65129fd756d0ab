import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { printable, printableLines } from './printable.ts';

const UNSAFE = /[\p{Cc}\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/u;
const ANY = fc.string({
  unit: fc.oneof(
    fc.integer({ min: 0, max: 0xa0 }).map((code) => String.fromCodePoint(code)),
    fc.integer({ min: 0x2000, max: 0x2070 }).map((code) => String.fromCodePoint(code)),
    fc.string({ unit: 'grapheme', minLength: 1, maxLength: 1 }),
  ),
});

describe('printable text', () => {
  test('has no character that moves a cursor or reorders its neighbours', () => {
    fc.assert(
      fc.property(ANY, (text) => {
        assert.doesNotMatch(printable(text), UNSAFE);
        assert.doesNotMatch(printableLines(text).replaceAll(/[\n\t]/g, ''), UNSAFE);
      }),
    );
  });

  test('keeps all else, in every script', () => {
    for (const text of ['', 'nginx:1.27', '镜像 🐳 é\u00a0–', 'עברית', '👩\u200d🔧'])
      assert.equal(printable(text), text);
    assert.equal(printableLines('a\tb\nc'), 'a\tb\nc');
    assert.equal(printable('a\tb\nc\u001b[2J\u202e'), 'a\\u0009b\\u000ac\\u001b[2J\\u202e');
  });

  test('is the same value in JSON', () => {
    fc.assert(
      fc.property(ANY, (text) => {
        const value = { text };
        assert.deepEqual(JSON.parse(printableLines(JSON.stringify(value, null, 2))), value);
      }),
    );
  });
});
