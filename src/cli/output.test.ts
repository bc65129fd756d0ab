import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { captureOutput } from '../../test/support/capture-output.ts';
import { formatTable } from './format.ts';
import { StatusLine } from './output.ts';

const EVIL = 'linux\u001b[2J\u009b31m\u0007\u202e\u2066\u200f\r\u007f';
const UNSAFE = /(?![\n\t])[\p{Cc}\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/u;

describe('what a command writes', () => {
  test('has no control characters, whatever the text', () => {
    const unit = fc.oneof(
      fc.constantFrom(...EVIL.split(''), '\n', '\t'),
      fc.string({ unit: 'grapheme', maxLength: 2 }),
    );
    fc.assert(
      fc.property(fc.string({ unit }), (text) => {
        const { output, said } = captureOutput();
        output.out(text);
        output.err(text);
        assert.doesNotMatch(said.out, UNSAFE);
        assert.doesNotMatch(said.err, UNSAFE);
      }),
    );
  });

  test('is drawn by its own sequences alone, and what it draws is escaped', () => {
    const { output, said } = captureOutput();
    const line = new StatusLine((text, how) => output.err(text, how));
    line.draw(EVIL);
    line.clear();
    const [start, drawn, end] = said.err.split('\r\u001b[K');
    assert.deepEqual([start, end], ['', '']);
    assert.doesNotMatch(drawn ?? '', UNSAFE);
    output.out('\u001b]0;title\u0007\u001b[31m', 'drawn');
    assert.equal(said.out, '\\u001b]0;title\\u0007\u001b[31m');
  });

  test('keeps each row of a table on its line', () => {
    assert.deepEqual(formatTable([['a\nb', 'c']]), ['a\\u000ab  c']);
  });
});
