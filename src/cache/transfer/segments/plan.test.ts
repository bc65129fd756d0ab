import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { LONGEST_SEGMENT, planSegment, type Situation } from './plan.ts';

const MB = 1024 * 1024;

function plan(situation: Partial<Situation>): readonly number[] | undefined {
  const whole = { size: 128 * MB, front: 0, taken: [], claims: [], connections: 4, minSegment: 16 * MB };
  const planned = planSegment({ ...whole, ...situation });
  return planned && [planned.start / MB, planned.end / MB];
}

const span = (start: number, end: number) => ({ start: start * MB, end: end * MB });
const claim = (position: number, end: number) => ({ position: position * MB, end: end * MB });

describe('the next segment', () => {
  test('lies behind what the front has before it', () => assert.deepEqual(plan({ front: MB }), [17, 33]));
  test('is the next in order', () => assert.deepEqual(plan({ taken: [span(16, 32)] }), [32, 48]));
  test('fills a gap first', () => assert.deepEqual(plan({ taken: [span(16, 32), span(40, 60)] }), [32, 40]));
  test('takes a remainder that is short', () => assert.deepEqual(plan({ taken: [span(16, 100)] }), [100, 128]));
  test('is longer in a large blob', () => {
    assert.deepEqual(plan({ size: 4096 * MB, taken: [span(16, 32)] }), [32, 32 + LONGEST_SEGMENT / MB]);
  });
  test('halves the longest rest where all is taken', () => {
    const taken = [span(16, 128)];
    assert.deepEqual(plan({ front: 10 * MB, taken, claims: [claim(40, 60), claim(100, 128)] }), [114, 128]);
    assert.deepEqual(plan({ front: 0, taken: [span(100, 128)], claims: [claim(110, 128)] }), [50, 100]);
  });
  test('is none where too little is left', () => {
    assert.equal(plan({ front: 97 * MB }), undefined);
    assert.equal(plan({ front: 12 * MB, taken: [span(16, 128)], claims: [claim(121, 128)] }), undefined);
  });

  test('takes so much of the rest that takes longest that both connections end at once', () => {
    const MB = 1024 * 1024;
    const claims = [{ position: 10 * MB, end: 20 * MB, rate: 10 * MB }];
    const taken = [{ start: 10 * MB, end: 20 * MB }];
    const common = { size: 20 * MB, front: 0, taken, claims, connections: 4, minSegment: 40 * MB };
    const slowFront = planSegment({ ...common, frontRate: MB, rate: 9 * MB });
    assert.deepEqual(slowFront, { start: MB, end: 10 * MB });
    const slowClaim = planSegment({ ...common, front: 9 * MB, frontRate: 9 * MB, rate: 10 * MB });
    assert.deepEqual(slowClaim, { start: 15 * MB, end: 20 * MB });
    // Less than half a second is left to all of them.
    const short = { ...common, front: 9 * MB, frontRate: 90 * MB, rate: 10 * MB };
    assert.equal(planSegment({ ...short, claims: [{ position: 16 * MB, end: 20 * MB, rate: 10 * MB }] }), undefined);
  });

  test('never meets what is taken, and lies in the blob', () => {
    const situation = fc.record({
      size: fc.integer({ min: 1, max: 300 }),
      front: fc.nat(299),
      connections: fc.integer({ min: 2, max: 8 }),
      minSegment: fc.integer({ min: 1, max: 40 }),
      rate: fc.option(fc.nat(100), { nil: undefined }),
      cuts: fc.uniqueArray(fc.nat(300), { maxLength: 12 }),
    });
    fc.assert(
      fc.property(situation, ({ size, front: at, connections, minSegment, rate, cuts }) => {
        const front = Math.min(at, size);
        const places = cuts.filter((each) => each > front && each < size).sort((one, other) => one - other);
        const taken = [];
        for (let each = 0; each + 1 < places.length; each += 2) {
          taken.push({ start: places[each] ?? 0, end: places[each + 1] ?? 0 });
        }
        const rated = rate === undefined ? {} : { rate, frontRate: 50 };
        const claims = taken.map(({ start, end }, at) => ({ position: start, end, rate: at * 10 }));
        const next = planSegment({ size, front, taken, claims, connections, minSegment, ...rated });
        if (next === undefined) return;
        assert.ok(next.start >= front && next.start < next.end && next.end <= size, JSON.stringify(next));
        const met = taken.filter(({ start, end }) => start < next.end && end > next.start);
        // A rest that is halved leaves its second half to the segment.
        assert.ok(met.length === 0 || (met.length === 1 && next.end === met[0]?.end), JSON.stringify({ next, taken }));
      }),
      { numRuns: 2000 },
    );
  });
});
