import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { filesOf, IMPORT_CASES, importCases, runImport } from '../../test/support/import-cases.ts';
import { formatDuration, parseGoDuration } from './go-duration.ts';
import { readText } from './syntax/index.ts';

const SEEDS = importCases().flatMap((name) =>
  filesOf(name).map((file) => readFileSync(`${IMPORT_CASES}${name}/${file}`, 'utf8')),
);

/** Pieces that mean something in one of the formats, and values at the edges of what options take. */
const PIECES = [
  '"',
  "'",
  '{',
  '}',
  '[',
  ']',
  '[[',
  ']]',
  ':',
  '=',
  ',',
  '\n',
  '\t',
  '#',
  '-',
  '&a',
  '*a',
  '<<',
  '---\n',
  '\\',
  '$',
  '${',
  '0',
  '-1',
  '1e99',
  '99999999999999999999',
  'true',
  'null',
  '""',
  '[]',
  '{}',
  '0s',
  '-5m',
  '1h99999h',
  ':99999',
  'unix:/x',
  'http://',
  'https://u:p@h/v2/?q#f',
  'ftp://h',
  'https://h/v2/a/b',
  'HTTP://H:1',
  '//h',
  'localhost',
  '[::1]:1',
  '*',
  '"*"',
  '__proto__',
  'constructor',
  '\u001b[2J',
  '\u2028',
  '\u{1f600}',
  '\ufeff',
  'docker.io',
  'api',
  'ui',
  '../..',
  '/',
  'C:\\x',
];

/** One of the examples with some places replaced. */
const damaged = fc
  .tuple(
    fc.constantFrom(...SEEDS),
    fc.array(fc.tuple(fc.double({ min: 0, max: 1, noNaN: true }), fc.nat(12), fc.constantFrom(...PIECES)), {
      maxLength: 4,
    }),
  )
  .map(([text, changes]) =>
    changes.reduce((now, [share, cut, piece]) => {
      const at = Math.floor(share * now.length);
      return now.slice(0, at) + piece + now.slice(at + cut);
    }, text),
  );

/** One of the examples with one of its values replaced by another text, which leaves the syntax alone. */
const odd = fc
  .tuple(fc.constantFrom(...SEEDS), fc.nat(1000), fc.constantFrom(...PIECES.filter((piece) => !/["'\\\n]/.test(piece))))
  .map(([text, which, piece]) => {
    const values = [...text.matchAll(/(?<=[:=] *)"[^"\n]*"/g)];
    const value = values[which % Math.max(values.length, 1)];
    if (value === undefined) return text;
    return `${text.slice(0, value.index)}"${piece}"${text.slice(value.index + value[0].length)}`;
  });

describe('import', () => {
  for (const [name, texts, runs] of [
    ['damaged files', damaged, 150],
    ['files with odd values', odd, 150],
  ] as const) {
    // runImport reads its own result as the server would, and throws where that is refused.
    test(`makes a valid configuration of ${name}, or says what is wrong with them`, async () => {
      await fc.assert(
        fc.asyncProperty(texts, async (text) => {
          const { code, out, err } = await runImport(['-'], { stdin: text });
          assert.ok(code === 0 || code === 65, err);
          assert.equal(out === '', code !== 0);
          assert.doesNotMatch(out + err, /(?!\n)\p{Cc}/u);
        }),
        { numRuns: runs },
      );
    });
  }

  test('accounts for every value of every example: carried over, named, or counted as read', async () => {
    for (const name of importCases()) {
      for (const file of filesOf(name)) {
        const text = readFileSync(`${IMPORT_CASES}${name}/${file}`, 'utf8');
        const { documents } = await readText(text, { label: file, path: undefined });
        const isTree = documents.some((document) => document.kind === 'tree');
        // An option that no program knows is named, wherever it is put.
        if (!isTree || name.startsWith('crproxy-') || /toml|conf$/.test(file)) continue;
        const more = text.trimStart().startsWith('{')
          ? text.replace('{', '{"zz_unknown": 1,')
          : `zz_unknown: 1\n${text}`;
        const { code, err } = await runImport(['-'], { stdin: more });
        // Keys of Docker itself are listed in one line; k3s has two keys, and no other file has them.
        if (code === 0) assert.match(err, /zz_unknown/, `${name}/${file}`);
      }
    }
  });
});

describe('lengths of time as Go writes them', () => {
  test('are read as Go reads them', () => {
    for (const [text, milliseconds] of [
      ['1.5h', 5_400_000],
      ['1h30m0.5s', 5_400_500],
      ['300us', 0.3],
      ['10µs', 0.01],
      ['2ns', 0.000002],
      ['.5s', 500],
      ['0', 0],
    ] as const) {
      assert.ok(Math.abs((parseGoDuration(text) ?? Number.NaN) - milliseconds) < 1e-9, text);
    }
    for (const text of ['', '5', '-5s', '5 s', '1d', 's', '1h30', 'x'.repeat(100)]) {
      assert.equal(parseGoDuration(text), undefined, text);
    }
  });

  test('are written in the largest whole unit', () => {
    assert.deepEqual([90_000, 1500, 604_800_000, 60_000, 1].map(formatDuration), ['90s', '1500ms', '7d', '1m', '1ms']);
  });
});
