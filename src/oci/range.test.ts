import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { formatContentRange, parseContentRange, parseRange, parseRanges } from './range.ts';

const WHOLE = { kind: 'whole' };
const UNSATISFIABLE = { kind: 'unsatisfiable' };
const part = (start: number, end?: number) => ({ kind: 'part', start, end });

describe('parseRange()', () => {
  const rows: readonly [header: string | undefined, size: number | undefined, range: object][] = [
    [undefined, 100, WHOLE],
    ['', 100, WHOLE],
    ['bytes=0-0', 100, part(0, 0)],
    ['bytes=0-', 100, part(0, 99)],
    ['bytes=10-19', 100, part(10, 19)],
    ['bytes=10-', 100, part(10, 99)],
    ['bytes=99-', 100, part(99, 99)],
    ['bytes=10-1000', 100, part(10, 99)],
    ['BYTES=10-19', 100, part(10, 19)],
    ['bytes= 10-19 ', 100, part(10, 19)],
    ['bytes=010-019', 100, part(10, 19)],
    ['bytes=100-', 100, UNSATISFIABLE],
    ['bytes=100-200', 100, UNSATISFIABLE],
    ['bytes=-1', 100, part(99, 99)],
    ['bytes=-100', 100, part(0, 99)],
    ['bytes=-1000', 100, part(0, 99)],
    ['bytes=-0', 100, UNSATISFIABLE],
    ['bytes=19-10', 100, UNSATISFIABLE],
    ['bytes=500-0', undefined, UNSATISFIABLE],
    // Malformed, another unit, several: the whole is a right answer to all of them.
    ['bytes=-', 100, WHOLE],
    ['bytes=', 100, WHOLE],
    ['bytes', 100, WHOLE],
    ['bytes=a-b', 100, WHOLE],
    ['bytes=0x1-2', 100, WHOLE],
    ['bytes=1.5-2', 100, WHOLE],
    ['bytes=--1', 100, WHOLE],
    ['bytes=0-1,5-6', 100, WHOLE],
    ['bytes=0-1,', 100, WHOLE],
    ['bytes 0-1', 100, WHOLE],
    ['items=0-1', 100, WHOLE],
    ['bytes=٠-١', 100, WHOLE],
    // An empty body.
    ['bytes=0-', 0, WHOLE],
    ['bytes=-5', 0, WHOLE],
    ['bytes=1-', 0, UNSATISFIABLE],
    // Beyond what a number holds.
    ['bytes=5-99999999999999999999999999', 100, part(5, 99)],
    ['bytes=99999999999999999999999999-', 100, UNSATISFIABLE],
    [`bytes=-${'9'.repeat(400)}`, 100, part(0, 99)],
    // The size is not known yet.
    ['bytes=10-', undefined, part(10)],
    ['bytes=10-19', undefined, part(10, 19)],
    ['bytes=-10', undefined, WHOLE],
    ['bytes=-0', undefined, UNSATISFIABLE],
    [`bytes=5-${'9'.repeat(400)}`, undefined, part(5)],
    [`bytes=${'9'.repeat(400)}-`, undefined, UNSATISFIABLE],
  ];
  for (const [header, size, range] of rows) {
    test(`${JSON.stringify(header?.slice(0, 40))} of ${size} is ${JSON.stringify(range)}`, () => {
      assert.deepEqual(parseRange(header, size), range);
    });
  }

  test('never leads outside the body, whatever the header', () => {
    const header = fc.oneof(
      fc.string(),
      fc.tuple(fc.option(fc.nat(300)), fc.option(fc.nat(300))).map(([a, b]) => `bytes=${a ?? ''}-${b ?? ''}`),
    );
    fc.assert(
      fc.property(header, fc.nat(200), (text, size) => {
        const range = parseRange(text, size);
        if (range.kind !== 'part') return;
        assert.ok(range.end !== undefined && 0 <= range.start && range.start <= range.end && range.end < size);
      }),
      { numRuns: 2000 },
    );
  });
});

describe('parseContentRange()', () => {
  const rows: readonly [header: string | undefined, range: object | undefined][] = [
    ['bytes 0-9/100', { start: 0, end: 9, total: 100 }],
    ['bytes 0-99/100', { start: 0, end: 99, total: 100 }],
    ['Bytes 5-5/*', { start: 5, end: 5, total: undefined }],
    [undefined, undefined],
    ['', undefined],
    ['bytes */100', undefined],
    ['bytes 9-0/100', undefined],
    ['bytes 0-100/100', undefined],
    ['bytes 0-9', undefined],
    ['bytes=0-9/100', undefined],
    ['items 0-9/100', undefined],
    ['bytes 0-9/9999999999999999', undefined],
    ['bytes 9007199254740991-9007199254740992/*', undefined],
    ['bytes 0-99999999999999999999/*', undefined],
    ['bytes -9/100', undefined],
    ['bytes 0-9/100, bytes 5-6/100', undefined],
  ];
  for (const [header, range] of rows) {
    test(`${JSON.stringify(header)} is ${JSON.stringify(range)}`, () => {
      assert.deepEqual(parseContentRange(header), range);
    });
  }
});

describe('formatContentRange()', () => {
  for (const total of [100, undefined]) {
    test(`is read back by parseContentRange(), total ${total}`, () => {
      const text = formatContentRange({ start: 3, end: 7 }, total);
      assert.deepEqual(parseContentRange(text), { start: 3, end: 7, total });
    });
  }
});

describe('parseRanges()', () => {
  const many = (count: number) =>
    `bytes=${Array.from({ length: count }, (_, i) => `${i * 200}-${i * 200 + 9}`).join(',')}`;
  const rows: readonly [
    header: string | undefined,
    size: number,
    parts: readonly (readonly [number, number])[] | undefined,
  ][] = [
    [
      'bytes=0-9,500-509',
      1000,
      [
        [0, 9],
        [500, 509],
      ],
    ],
    [
      'bytes=500-509,0-9',
      1000,
      [
        [500, 509],
        [0, 9],
      ],
    ],
    [
      'BYTES= 0-9 ,\t500-509',
      1000,
      [
        [0, 9],
        [500, 509],
      ],
    ],
    [
      'bytes=,0-9,,500-509,',
      1000,
      [
        [0, 9],
        [500, 509],
      ],
    ],
    [
      'bytes=0-9,-10',
      1000,
      [
        [0, 9],
        [990, 999],
      ],
    ],
    [
      'bytes=0-9,900-',
      1000,
      [
        [0, 9],
        [900, 999],
      ],
    ],
    ['bytes=0-9,5000-', 1000, [[0, 9]]],
    ['bytes=1000-,5000-,-0', 1000, []],
    // Overlapping, touching and nearly so.
    ['bytes=0-9,5-14', 1000, [[0, 14]]],
    [
      'bytes=500-509,0-9,5-14',
      1000,
      [
        [0, 14],
        [500, 509],
      ],
    ],
    ['bytes=0-9,10-19', 1000, [[0, 19]]],
    ['bytes=0-9,90-99', 1000, [[0, 99]]],
    [
      'bytes=0-9,91-99',
      1000,
      [
        [0, 9],
        [91, 99],
      ],
    ],
    ['bytes=0-,0-,0-', 1000, [[0, 999]]],
    // Not several, or malformed: the whole.
    [undefined, 1000, undefined],
    ['bytes=0-9', 1000, undefined],
    ['bytes=,', 1000, undefined],
    ['bytes=0-9,9-0', 1000, undefined],
    ['bytes=0-9,a', 1000, undefined],
    ['items=0-9,20-29', 1000, undefined],
    ['bytes=0-1,5-6', 0, undefined],
  ];
  for (const [header, size, parts] of rows) {
    test(`${JSON.stringify(header)} of ${size} is ${JSON.stringify(parts)}`, () => {
      const found = parseRanges(header, size)?.map(({ start, end }) => [start, end]);
      assert.deepEqual(found, parts);
    });
  }

  test('takes up to 200 ranges', () => {
    assert.equal(parseRanges(many(200), 1_000_000)?.length, 200);
    assert.equal(parseRanges(many(201), 1_000_000), undefined);
    assert.equal(parseRanges(`bytes=${','.repeat(10_000)}`, 100), undefined);
  });

  test('gives every byte that was asked for, no byte twice, in parts that lie apart', () => {
    const spec = fc.tuple(fc.nat(1200), fc.nat(1200)).map(([a, b]) => [Math.min(a, b), Math.max(a, b)] as const);
    fc.assert(
      fc.property(fc.array(spec, { minLength: 2, maxLength: 64 }), fc.integer({ min: 1, max: 1000 }), (specs, size) => {
        const parts = parseRanges(`bytes=${specs.map(([a, b]) => `${a}-${b}`).join(', ')}`, size) ?? [];
        const seen = new Uint8Array(size);
        for (const { start, end } of parts) {
          assert.ok(start >= 0 && start <= end && end < size);
          for (let i = start; i <= end; i += 1) assert.equal((seen[i] = (seen[i] ?? 0) + 1), 1);
        }
        for (const [a, b] of specs) for (let i = a; i <= Math.min(b, size - 1); i += 1) assert.equal(seen[i], 1);
      }),
    );
  });
});
