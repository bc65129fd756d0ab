import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { type Candidate, dealTo, LEAST_STEPS, MUCH_SLOWER, takeFrom, tooSlow } from './deal.ts';

const MB = 1024 * 1024;

function candidate(upstream: string, given: Partial<Candidate> = {}): Candidate {
  return { upstream, connections: 1, most: 8, rate: 4 * MB, steps: LEAST_STEPS, ...given };
}

const untried = { connections: 0, rate: undefined, steps: 0 };

describe('dealTo', () => {
  const cases: readonly (readonly [why: string, candidates: readonly Candidate[], expected: string | undefined])[] = [
    ['one that was not tried', [candidate('a'), candidate('b', untried)], 'b'],
    ['of two that were not tried the first', [candidate('a', untried), candidate('b', untried)], 'a'],
    [
      'none to one that is being tried',
      [candidate('a', { most: 1 }), candidate('b', { ...untried, connections: 1 })],
      undefined,
    ],
    ['the faster', [candidate('a'), candidate('b', { rate: 8 * MB, connections: 3 })], 'b'],
    [
      'of two about as fast the one with fewer',
      [candidate('a', { connections: 2 }), candidate('b', { rate: 3 * MB })],
      'b',
    ],
    ['of two alike the first', [candidate('a'), candidate('b')], 'a'],
    ['the next where the faster has all it may have', [candidate('a'), candidate('b', { rate: 9 * MB, most: 1 })], 'a'],
    ['none that was excluded', [candidate('a', { most: 0 }), candidate('b', { ...untried, most: 0 })], undefined],
    ['none', [], undefined],
  ];
  for (const [why, candidates, expected] of cases) {
    test(`gives the next connection to ${why}`, () => assert.equal(dealTo(candidates), expected));
  }
});

describe('takeFrom', () => {
  test('takes a connection from the one with the most, of those from the slowest, of these from the last', () => {
    assert.equal(takeFrom([candidate('a', { rate: MB }), candidate('b')]), 'a');
    assert.equal(takeFrom([candidate('a', { connections: 2 }), candidate('b', { rate: MB })]), 'a');
    assert.equal(takeFrom([candidate('a'), candidate('b')]), 'b');
    assert.equal(takeFrom([]), undefined);
  });
});

describe('tooSlow', () => {
  test('names those that are much slower than the best, once they were measured', () => {
    const slow = { rate: (4 * MB) / MUCH_SLOWER - 1 };
    assert.deepEqual(tooSlow([candidate('a'), candidate('b', slow)]), ['b']);
    assert.deepEqual(tooSlow([candidate('a'), candidate('b', { rate: (4 * MB) / MUCH_SLOWER })]), []);
    assert.deepEqual(tooSlow([candidate('a'), candidate('b', { ...slow, steps: LEAST_STEPS - 1 })]), []);
    assert.deepEqual(tooSlow([candidate('a'), candidate('b', { ...slow, connections: 0 })]), []);
    assert.deepEqual(tooSlow([candidate('a', { rate: 0 })]), []);
  });
});

const candidates = fc
  .array(
    fc.record({
      connections: fc.nat(8),
      most: fc.nat(8),
      rate: fc.option(fc.nat(100 * MB), { nil: undefined }),
      steps: fc.nat(4),
    }),
    { maxLength: 5 },
  )
  .map((all) => all.map((each, at): Candidate => ({ upstream: `u${at}`, ...each })));

test('none gets more connections than it may have, a second one before it was measured, or is left where it is the best', () => {
  fc.assert(
    fc.property(candidates, (all) => {
      const found = all.find(({ upstream }) => upstream === dealTo(all));
      if (found !== undefined) {
        assert.ok(found.connections < found.most);
        assert.ok(found.rate !== undefined || found.connections === 0);
      }
      const slow = tooSlow(all);
      const judged = all.filter(({ connections, steps }) => connections > 0 && steps >= LEAST_STEPS);
      const [best] = judged.toSorted((one, other) => (other.rate ?? 0) - (one.rate ?? 0));
      assert.ok(best === undefined || !slow.includes(best.upstream));
      if (all.length > 0) assert.ok(all.some(({ upstream }) => upstream === takeFrom(all)));
    }),
  );
});

test('connections over lines of any width are dealt so that none of the lines is left idle', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 40, max: 100 }), { minLength: 2, maxLength: 4 }), (lines) => {
      const inUse = lines.map(() => 0);
      inUse[0] = 1;
      for (let step = 0; step < 4 * lines.length; step += 1) {
        const all = lines.map((line, at): Candidate => {
          const connections = inUse[at] ?? 0;
          const rate = connections === 0 ? undefined : line / connections;
          return { upstream: String(at), connections, most: 16, rate, steps: LEAST_STEPS };
        });
        const next = Number(dealTo(all));
        inUse[next] = (inUse[next] ?? 0) + 1;
      }
      assert.ok(
        inUse.every((count) => count >= 2),
        inUse.join(),
      );
    }),
  );
});
