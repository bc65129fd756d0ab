import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { FragmentLadder } from './fragment-ladder.ts';

const TEN_MINUTES = 10 * 60_000;

describe('FragmentLadder', () => {
  const ladders: readonly (readonly [number, boolean, readonly number[]])[] = [
    [3, true, [3, 1, 0]],
    [255, true, [255, 1, 0]],
    [1, true, [1, 0]],
    [0, true, [0]],
    [3, false, [3, 1]],
    [1, false, [1]],
    [0, false, [0]],
  ];
  for (const [firstFragmentLen, allowPlainFallback, steps] of ladders) {
    test(`goes ${steps.join(' → ')} from ${firstFragmentLen}${allowPlainFallback ? '' : ', never in the open'}`, () => {
      assert.deepEqual(new FragmentLadder({ firstFragmentLen, allowPlainFallback }).stepsFor('h'), steps);
    });
  }

  function ladder() {
    const clock = { now: 0 };
    const made = new FragmentLadder({ firstFragmentLen: 3, allowPlainFallback: true, now: () => clock.now });
    return { made, clock };
  }

  test('begins at what worked, for ten minutes, for that host', () => {
    const { made, clock } = ladder();
    made.worked('h', 1);
    assert.deepEqual(made.stepsFor('h'), [1, 0]);
    assert.deepEqual(made.stepsFor('i'), [3, 1, 0]);
    clock.now = TEN_MINUTES - 1;
    made.worked('h', 1);
    assert.deepEqual(made.stepsFor('h'), [1, 0]);
    clock.now = TEN_MINUTES;
    assert.deepEqual(made.stepsFor('h'), [3, 1, 0]);
  });

  test('forgets what works no more', () => {
    const { made } = ladder();
    made.worked('h', 0);
    assert.deepEqual(made.stepsFor('h'), [0]);
    made.failed('h');
    assert.deepEqual(made.stepsFor('h'), [3, 1, 0]);
  });

  test('remembers a bounded number of hosts', () => {
    const { made } = ladder();
    for (let i = 0; i <= 1024; i++) made.worked(`h${i}`, 1);
    assert.deepEqual(made.stepsFor('h0'), [3, 1, 0]);
    assert.deepEqual(made.stepsFor('h1024'), [1, 0]);
  });
});
