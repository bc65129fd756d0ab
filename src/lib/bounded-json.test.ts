import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import {
  JsonBoundError,
  MAX_JSON_DEPTH,
  MAX_JSON_MEMBERS,
  MAX_JSON_SEPARATORS,
  parseBoundedJson,
  parseBoundedJsonInPieces,
} from './bounded-json.ts';
import { atOnce } from './pieces.ts';

const parse = (text: string): unknown => parseBoundedJson(Buffer.from(text));
const members = (count: number): string => `{${Array.from({ length: count }, (_, i) => `"${i}":0`).join(',')}}`;
const nested = (levels: number, [open, close]: readonly [string, string]): string =>
  `${open.repeat(levels)}1${close.repeat(levels)}`;

describe('parseBoundedJson()', () => {
  test('gives what JSON.parse gives', () => {
    fc.assert(fc.property(fc.json({ maxDepth: 12 }), (text) => assert.deepEqual(parse(text), JSON.parse(text))));
  });

  test('throws SyntaxError, and nothing else, for what is not JSON', () => {
    fc.assert(
      fc.property(fc.stringMatching(/^[[\]{}",:\\ a1]{0,40}$/), (text) => {
        let expected = true;
        try {
          JSON.parse(text);
        } catch {
          expected = false;
        }
        if (expected) assert.deepEqual(parse(text), JSON.parse(text));
        else assert.throws(() => parse(text), SyntaxError);
      }),
    );
  });

  const accepted: readonly (readonly [what: string, text: string])[] = [
    ['as deep as may be', nested(MAX_JSON_DEPTH, ['[', ']'])],
    ['as many members as may be', members(MAX_JSON_MEMBERS)],
    ['10,000 layers with four annotations each', `{"layers":[${layers(10_000)}]}`],
    ['brackets and colons in a string', JSON.stringify('[{:,"\\'.repeat(100_000))],
  ];
  for (const [what, text] of accepted) test(`accepts ${what}`, () => assert.deepEqual(parse(text), JSON.parse(text)));

  test('counts some megabytes in pieces, and parses them in a last one; little JSON is one piece', () => {
    const text = JSON.stringify({ padding: ['x'.repeat(300_000), 'y'.repeat(300_000), '\\"'.repeat(500_000)] });
    const steps = parseBoundedJsonInPieces(Buffer.from(text));
    let pauses = 0;
    let step = steps.next();
    for (; step.done !== true; step = steps.next()) pauses += 1;
    assert.deepEqual(step.value, JSON.parse(text));
    assert.equal(pauses, 3, 'before and behind the long string, which is counted whole, and before the parser');
    assert.equal(parseBoundedJsonInPieces(Buffer.from('{"a":1}')).next().done, true);
  });

  test('two that are counted at the same time do not disturb each other', () => {
    const deep = (levels: number): Buffer =>
      Buffer.from(`[${'"x",'.repeat(200_000 / 2)}${nested(levels, ['[', ']'])}]`);
    const one = parseBoundedJsonInPieces(deep(MAX_JSON_DEPTH));
    const other = parseBoundedJsonInPieces(deep(1));
    for (let turn = 0; turn < 3; turn += 1) other.next();
    assert.throws(() => atOnce(one), JsonBoundError);
    assert.equal((atOnce(parseBoundedJsonInPieces(deep(1))) as unknown[]).length, 100_001);
  });

  const refused: readonly (readonly [what: string, text: string])[] = [
    ['an array in an array, and so on', nested(MAX_JSON_DEPTH + 1, ['[', ']'])],
    ['2.4 million open brackets', '['.repeat(2_400_000)],
    ['800,000 objects in each other', nested(800_000, ['{"a":', '}'])],
    ['half a million members', members(480_000)],
    ['one member too many, in an inner object', `[{"a":${members(MAX_JSON_MEMBERS + 1)}}]`],
    ['a million numbers', `[${'0,'.repeat(MAX_JSON_SEPARATORS + 1)}0]`],
    ['a million small objects', `[${'{"a":0},'.repeat(MAX_JSON_SEPARATORS)}0]`],
  ];
  for (const [what, text] of refused) test(`refuses ${what}`, () => assert.throws(() => parse(text), JsonBoundError));
});

function layers(count: number): string {
  const annotations = {
    'containerd.io/snapshot/stargz/toc.digest': 'x',
    'io.containers.estargz.uncompressed-size': '1',
    a: '',
    b: '',
  };
  const layer = { mediaType: 'application/vnd.oci.image.layer.v1.tar+gzip', digest: 'sha256:0', size: 1, annotations };
  return Array.from({ length: count }, () => JSON.stringify(layer)).join(',');
}
