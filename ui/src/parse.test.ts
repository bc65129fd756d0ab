import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseShown } from './parse.ts';

test('what the server says is shown without characters that move or reorder its neighbours', () => {
  const answer = {
    userAgent: 'docker\u202e\u2066/27\u200f',
    errors: ['it said \u001b[2J\u009b31m\u0007', { reason: '\u061c' }],
    yaml: 'a: 1\n\tb: 镜像\n',
    number: 1,
  };
  const shown = {
    userAgent: 'docker\\u202e\\u2066/27\\u200f',
    errors: ['it said \\u001b[2J\\u009b31m\\u0007', { reason: '\\u061c' }],
    yaml: answer.yaml,
    number: 1,
  };
  const json = JSON.stringify(answer);
  const escaped = json.replaceAll(
    /[\u007f-\uffff]/g,
    (each) => `\\u${each.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
  assert.deepEqual(parseShown(json), shown);
  assert.deepEqual(parseShown(escaped), shown);
  assert.deepEqual(parseShown('{"plain": ["text", null]}'), { plain: ['text', null] });
  assert.throws(() => parseShown('<html>'), SyntaxError);
});
