import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decodeHeaderText } from './header-text.ts';

for (const [value, text] of [
  ['plain', 'plain'],
  ['\xe6\x96\x87\xe4\xbb\xb6', '文件'],
  ['caf\xe9', 'café'],
  ['', ''],
] as const) {
  test(`${JSON.stringify(value)} is ${text}`, () => assert.equal(decodeHeaderText(value), text));
}
