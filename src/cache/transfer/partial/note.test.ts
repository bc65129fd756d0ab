import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { MAX_PARTIAL_NOTE_BYTES } from '../../../store/index.ts';
import { formatPartialNote, MOST_NOTED, type PartialNote, parsePartialNote } from './note.ts';

const hash = fc.stringMatching(/^[0-9a-f]{32}$/);

const note: fc.Arbitrary<PartialNote> = fc
  .record({
    steps: fc.array(fc.integer({ min: 1, max: 2 ** 33 }), { minLength: 2, maxLength: 40 }),
    startsAtNone: fc.boolean(),
    hashes: fc.array(hash, { maxLength: 6 }),
    more: fc.nat(2 ** 33),
  })
  .map(({ steps, startsAtNone, hashes, more }) => {
    let at = 0;
    const borders = [...(startsAtNone ? [0] : []), ...steps.map((step) => (at += step))];
    const extents = borders.flatMap((start, index) => {
      const end = borders[index + 1];
      return index % 2 === 0 && end !== undefined ? [{ start, end }] : [];
    });
    const prefix = extents[0]?.start === 0 ? extents[0].end : 0;
    const positions = [...new Set(hashes.map((_, index) => Math.floor((prefix * (index + 1)) / hashes.length)))];
    const checkpoints = positions
      .filter((position) => position > 0)
      .map((position, index) => ({ position, hash: hashes[index] ?? '' }));
    return { size: at + more, extents, checkpoints };
  });

describe('the note of partial content', () => {
  test('is read as it was written', () => {
    fc.assert(fc.property(note, (given) => assert.deepEqual(parsePartialNote(formatPartialNote(given)), given)));
  });

  test('is refused, or is one that could have been written, whatever was done to it', () => {
    const damaged = fc
      .record({ given: note, at: fc.nat(), by: fc.string({ maxLength: 4 }), cut: fc.nat(6) })
      .map(({ given, at, by, cut }) => {
        const text = formatPartialNote(given);
        const start = at % text.length;
        return text.slice(0, start) + by + text.slice(start + cut);
      });
    fc.assert(
      fc.property(fc.oneof(damaged, fc.string(), fc.json()), (text) => {
        const read = parsePartialNote(text);
        if (read === undefined) return;
        let last = -1;
        for (const { start, end } of read.extents) {
          assert.ok(start > last && end > start && end <= read.size);
          last = end;
        }
        const [first] = read.extents;
        let before = 0;
        for (const { position } of read.checkpoints) {
          assert.ok(position > before && first?.start === 0 && position <= first.end);
          before = position;
        }
      }),
      { numRuns: 2000 },
    );
  });

  const refused: readonly (readonly [string, unknown])[] = [
    ['no object', []],
    ['no size', { extents: [], checkpoints: [] }],
    ['a negative size', { size: -1, extents: [], checkpoints: [] }],
    ['a size that is no integer', { size: 1.5, extents: [], checkpoints: [] }],
    ['a size beyond what is exact', { size: 2 ** 60, extents: [], checkpoints: [] }],
    ['an extent behind the end', { size: 5, extents: [[0, 6]], checkpoints: [] }],
    [
      'extents that overlap',
      {
        size: 50,
        extents: [
          [0, 6],
          [5, 9],
        ],
        checkpoints: [],
      },
    ],
    [
      'extents that touch',
      {
        size: 50,
        extents: [
          [0, 6],
          [6, 9],
        ],
        checkpoints: [],
      },
    ],
    ['an extent that is empty', { size: 50, extents: [[6, 6]], checkpoints: [] }],
    ['a checkpoint of bytes that have not come', { size: 50, extents: [[1, 9]], checkpoints: [[5, 'a'.repeat(32)]] }],
    ['a hash that is none', { size: 50, extents: [[0, 9]], checkpoints: [[5, 'x'.repeat(32)]] }],
    [
      'too many extents',
      { size: 1e9, extents: Array.from({ length: MOST_NOTED + 1 }, (_, at) => [2 * at, 2 * at + 1]), checkpoints: [] },
    ],
  ];
  for (const [what, value] of refused) {
    test(`is refused with ${what}`, () => assert.equal(parsePartialNote(JSON.stringify(value)), undefined));
  }

  test('holds the largest of many extents, and every other of many checkpoints, and is short', () => {
    const extents = Array.from({ length: 4000 }, (_, at) => {
      const start = 2 ** 39 + at * 1000;
      return { start, end: start + (at % 2 === 0 ? 10 : 900) };
    });
    const size = 2 ** 40;
    const text = formatPartialNote({
      size,
      extents: [{ start: 0, end: 2 ** 38 }, ...extents],
      checkpoints: Array.from({ length: 500 }, (_, at) => ({ position: 2 ** 30 + at, hash: 'f'.repeat(32) })),
    });
    assert.ok(text.length < MAX_PARTIAL_NOTE_BYTES, `${text.length}`);
    const read = parsePartialNote(text);
    assert.equal(read?.extents.length, MOST_NOTED);
    assert.ok(read?.extents.every(({ start, end }) => start === 0 || end - start === 900));
    assert.ok((read?.checkpoints.length ?? 0) > 60);
  });
});
