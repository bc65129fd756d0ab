import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readProblem } from './problem.ts';

const TYPE = 'urn:ietf:params:acme:error:';

for (const [what, value, expected] of [
  ['a problem', { type: `${TYPE}dns`, detail: 'no such name' }, { type: 'dns', text: 'no such name (dns)' }],
  ['one without detail', { type: `${TYPE}dns` }, { type: 'dns', text: 'it gives no reason (dns)' }],
  ['one of another kind', { type: 'about:blank', detail: 'busy' }, { type: undefined, text: 'busy' }],
  [
    'one of several domains',
    { type: `${TYPE}compound`, detail: 'two', subproblems: [{ detail: 'a' }, 'x', { detail: 'b' }] },
    { type: 'compound', text: 'two; a; b (compound)' },
  ],
  ['one that rewrites a terminal', { detail: 'a\u001b[2Jb\r\nc\u202ed' }, { type: undefined, text: 'a [2Jb c d' }],
  ['something else', ['x'], undefined],
  ['nothing', undefined, undefined],
  ['an object without any of it', { detail: 3, type: 4 }, undefined],
] as const) {
  test(`reads ${what}`, () => assert.deepEqual(readProblem(value), expected));
}
