import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { Extents } from './extents.ts';

const SIZE = 64;

const step = fc.oneof(
  { weight: 5, arbitrary: fc.record({ kind: fc.constant('add' as const), at: fc.nat(SIZE - 1), length: fc.nat(12) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('drop' as const), at: fc.nat(SIZE), length: fc.constant(0) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('forget' as const), at: fc.nat(SIZE), length: fc.nat(20) }) },
);

/** What extents are to be: one flag for each byte. */
function spansOf(bytes: readonly boolean[]): readonly { start: number; end: number }[] {
  const spans: { start: number; end: number }[] = [];
  for (const [at, has] of bytes.entries()) {
    const last = spans.at(-1);
    if (!has) continue;
    if (last?.end === at) last.end = at + 1;
    else spans.push({ start: at, end: at + 1 });
  }
  return spans;
}

test('extents are what a flag for each byte says, whatever is added and dropped', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const extents = new Extents();
      const model = Array.from({ length: SIZE }, () => false);
      for (const { kind, at, length } of steps) {
        if (kind === 'add') {
          const end = Math.min(at + length, SIZE);
          extents.add(at, end);
          model.fill(true, at, end);
        } else if (kind === 'forget') {
          // The longest goes to the end.
          const end = length === 20 ? undefined : at + length;
          extents.dropFrom(at, end);
          model.fill(false, at, Math.min(end ?? SIZE, SIZE));
        } else {
          extents.dropBefore(at);
          model.fill(false, 0, at);
        }
        const spans = spansOf(model);
        assert.deepEqual([...extents], spans);
        assert.equal(extents.count, spans.length);
        assert.equal(extents.bytes, model.filter(Boolean).length);
        for (let position = 0; position <= SIZE; position += 1) {
          const covering = spans.find(({ start, end }) => start <= position && end > position);
          assert.equal(extents.coveredTo(position), covering?.end ?? position);
          for (const least of [0, 3]) {
            const next = spans.find(({ start, end }) => end > position && end - start >= least);
            assert.equal(extents.nextStart(position, least), next?.start);
          }
        }
      }
    }),
    { numRuns: 300 },
  );
});

describe('Extents', () => {
  test('stay one object for what grows chunk by chunk', () => {
    const extents = new Extents();
    extents.add(10, 20);
    const [first] = extents;
    for (let at = 20; at < 1000; at += 10) extents.add(at, at + 10);
    assert.equal([...extents][0], first);
    assert.deepEqual(first, { start: 10, end: 1000 });
  });
});
