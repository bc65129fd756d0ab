import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { type Errand, Fastest, LEAD_SHARE, type Runner, STALE_AFTER_MS, TRIED_AGAIN_AFTER_MS } from './fastest.ts';
import { Pace } from './pace.ts';

const MANIFEST: Errand = { content: 'manifest', isSmall: true };
const MIB = 1024 * 1024;

/** A clock that is set by hand, and chance that never tries an upstream unless it is told to. */
function stage() {
  const world = { now: 1_000_000_000, random: 0.99 };
  const fastest = new Fastest({ now: () => world.now, random: () => world.random });
  return { world, fastest };
}

function measured(name: string, latencyMs: number, more: Partial<Runner['pace']> = {}): Runner {
  return { name, pace: { latencyMs, measuredAt: 1_000_000_000, ...more }, isResting: false };
}

const unmeasured = (name: string): Runner => ({ name, pace: {}, isResting: false });
const resting = (runner: Runner): Runner => ({ ...runner, isResting: true });
const names = (runners: readonly Runner[]): string => runners.map(({ name }) => name).join(' ');

describe('the order by speed', () => {
  test('is that of the configuration while nothing is measured', () => {
    assert.equal(names(stage().fastest.order(['a', 'b', 'c'].map(unmeasured), MANIFEST)), 'a b c');
  });

  test('has the fastest first, then what is not measured, and last what is resting', () => {
    const runners = [resting(measured('dead', 1)), unmeasured('new'), measured('slow', 90), measured('fast', 10)];
    assert.equal(names(stage().fastest.preview(runners, MANIFEST)), 'fast slow new dead');
  });

  test('keeps the first until another is a fifth faster', () => {
    const { fastest } = stage();
    assert.equal(names(fastest.order([measured('a', 100), measured('b', 110)], MANIFEST)), 'a b');
    assert.equal(names(fastest.order([measured('a', 100), measured('b', 100 * LEAD_SHARE + 1)], MANIFEST)), 'a b');
    assert.equal(names(fastest.order([measured('a', 100), measured('b', 100 * LEAD_SHARE)], MANIFEST)), 'b a');
    assert.equal(names(fastest.order([measured('a', 70), measured('b', 80)], MANIFEST)), 'b a');
  });

  test('gives the lead back to one that was resting', () => {
    const { fastest } = stage();
    const [a, b] = [measured('a', 50), measured('b', 55)];
    assert.equal(names(fastest.order([a, b], MANIFEST)), 'a b');
    assert.equal(names(fastest.order([resting(a), b], MANIFEST)), 'b a');
    assert.equal(names(fastest.order([a, b], MANIFEST)), 'b a', 'the other leads now, and is near enough');
    assert.equal(names(fastest.order([measured('a', 40), b], MANIFEST)), 'a b');
  });

  test('is about the whole blob: latency for a small one, rate for a large one', () => {
    const { fastest } = stage();
    const near = measured('near', 5, { bytesPerSecond: 1 * MIB });
    const wide = measured('wide', 200, { bytesPerSecond: 50 * MIB });
    const blob = { content: 'blob', isSmall: false } as const;
    assert.equal(names(fastest.order([near, wide], { ...blob, size: 2000 })), 'near wide');
    assert.equal(names(fastest.order([near, wide], { ...blob, size: 100 * MIB })), 'wide near');
    assert.equal(
      names(fastest.order([near, wide], { ...blob, size: 2000 })),
      'near wide',
      'each size has its own leader',
    );
  });

  test('takes an unknown rate for the best, so that the next large blob measures it', () => {
    const { fastest } = stage();
    const runners = [measured('known', 50, { bytesPerSecond: 2 * MIB }), measured('unknown', 20)];
    assert.equal(names(fastest.order(runners, { content: 'blob', size: 100 * MIB, isSmall: false })), 'unknown known');
  });
});

describe('trials', () => {
  test('each upstream without a measurement is tried once by a small request, after the first is measured', () => {
    const { fastest, world } = stage();
    const runners = [measured('a', 100), unmeasured('b'), unmeasured('c')];
    assert.equal(names(fastest.order(runners, { ...MANIFEST, isSmall: false })), 'a b c');
    assert.equal(names(fastest.order(runners, MANIFEST)), 'b a c');
    assert.equal(names(fastest.order(runners, MANIFEST)), 'c a b');
    assert.equal(names(fastest.order(runners, MANIFEST)), 'a b c', 'both were tried, whatever came of it');
    world.random = 0;
    world.now += TRIED_AGAIN_AFTER_MS - 1;
    assert.equal(names(fastest.order(runners, MANIFEST)), 'a b c');
    world.now += 1;
    assert.equal(names(fastest.order(runners, MANIFEST)), 'b a c');
  });

  test('one whose measurement is old is tried now and then, the oldest first, and the leader never', () => {
    const { fastest, world } = stage();
    const old = { measuredAt: world.now - STALE_AFTER_MS };
    const runners = [
      measured('a', 10, old),
      measured('b', 20, old),
      measured('c', 30, { measuredAt: old.measuredAt - 1 }),
    ];
    assert.equal(names(fastest.order(runners, MANIFEST)), 'a b c');
    world.random = 0;
    assert.equal(names(fastest.order(runners, MANIFEST)), 'c a b');
    assert.equal(names(fastest.order(runners, MANIFEST)), 'b a c');
    assert.equal(names(fastest.order(runners, MANIFEST)), 'a b c');
  });

  test('one that is resting is not tried', () => {
    const { fastest, world } = stage();
    world.random = 0;
    assert.equal(names(fastest.order([measured('a', 10), resting(unmeasured('b'))], MANIFEST)), 'a b');
  });

  test('a preview tries nothing and settles nothing', () => {
    const { fastest, world } = stage();
    world.random = 0;
    const runners = [measured('a', 100), unmeasured('b')];
    assert.equal(names(fastest.preview(runners, MANIFEST)), 'a b');
    assert.equal(names(fastest.preview([measured('a', 100), measured('c', 90)], MANIFEST)), 'c a');
    assert.equal(names(fastest.order(runners, MANIFEST)), 'b a');
  });

  test('a clock that is set back by a day stops no trial', () => {
    const { fastest, world } = stage();
    world.random = 0;
    const runners = [measured('a', 100), measured('b', 200)];
    world.now -= 86_400_000;
    assert.equal(names(fastest.order(runners, MANIFEST)), 'b a');
  });
});

describe('a simulation', () => {
  /** Upstreams whose latency is drawn around a mean; each request measures the one that it asks first. */
  function simulate(
    means: readonly number[],
    { requests, seed }: { readonly requests: number; readonly seed: number },
  ) {
    let state = seed | 0;
    const random = (): number => {
      state = (Math.imul(state, 1_664_525) + 1_013_904_223) | 0;
      return (state >>> 0) / 2 ** 32;
    };
    const world = { now: 1_000_000_000, means: [...means] };
    const now = (): number => world.now;
    const paces = means.map(() => new Pace(now));
    const fastest = new Fastest({ now, random });
    const counts = means.map(() => 0);
    let changes = 0;
    let last = '';
    function run(times: number): void {
      for (let i = 0; i < times; i += 1) {
        const runners = paces.map((pace, at) => ({ name: String(at), pace: pace.view('manifest'), isResting: false }));
        const first = Number(fastest.order(runners, MANIFEST)[0]?.name);
        const leader = fastest.preview(runners, MANIFEST)[0]?.name ?? '';
        if (leader !== last) changes += 1;
        last = leader;
        counts[first] = (counts[first] ?? 0) + 1;
        world.now += 1000;
        paces[first]?.answered('manifest', (world.means[first] ?? 0) * (0.9 + 0.2 * random()));
      }
    }
    run(requests);
    return { world, counts, run, changes: () => changes, leader: () => last };
  }

  test('nearly every request goes to the fastest, and the others are measured now and then', () => {
    fc.assert(
      fc.property(fc.integer(), fc.shuffledSubarray([20, 60, 180], { minLength: 3 }), (seed, means) => {
        const { counts } = simulate(means, { requests: 3600, seed });
        const best = means.indexOf(20);
        assert.ok((counts[best] ?? 0) >= 3500, counts.join());
        for (const count of counts) assert.ok(count >= 5, `an hour without a measurement: ${counts.join()}`);
      }),
      { numRuns: 30 },
    );
  });

  test('near equals do not take turns', () => {
    fc.assert(
      fc.property(fc.integer(), (seed) => {
        const { changes } = simulate([100, 97, 103], { requests: 3600, seed });
        assert.ok(changes() <= 4, `${changes()} changes of the first in an hour`);
      }),
      { numRuns: 30 },
    );
  });

  test('where the fastest becomes slow, another takes the lead within a minute, and gives it back within a quarter of an hour', () => {
    fc.assert(
      fc.property(fc.integer(), (seed) => {
        const { world, run, leader } = simulate([20, 60], { requests: 300, seed });
        assert.equal(leader(), '0');
        world.means[0] = 500;
        run(60);
        assert.equal(leader(), '1');
        world.means[0] = 20;
        run(900);
        assert.equal(leader(), '0');
      }),
      { numRuns: 30 },
    );
  });
});
