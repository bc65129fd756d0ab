import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Growth, STEP_MS, TRY_AGAIN_MS } from './growth.ts';

const MB = 1024 * 1024;

/** Steps of a transfer over a line. @param rateOf bytes a second with so many connections */
function run(growth: Growth, rateOf: (connections: number) => number, steps: number): readonly number[] {
  let received = 0;
  const wanted: number[] = [];
  for (let at = 0; at < steps; at += 1) {
    growth.step({ now: at * STEP_MS, received, opening: 0 });
    wanted.push(growth.wanted);
    received += (rateOf(growth.wanted) * STEP_MS) / 1000;
  }
  return wanted;
}

describe('the connections of a transfer', () => {
  test('double while each step makes it faster, up to the most', () => {
    const growth = new Growth(8);
    const wanted = run(growth, (connections) => connections * 4 * MB, 10);
    assert.deepEqual(wanted, [1, 1, 2, 2, 4, 4, 8, 8, 8, 8]);
    assert.equal(Math.round(growth.gain ?? 0), 8);
  });

  test('go back to one where that fills the line', () => {
    const wanted = run(new Growth(8), () => 4 * MB, 12);
    assert.deepEqual(wanted.slice(0, 6), [1, 1, 2, 2, 2, 1]);
    assert.ok(wanted.slice(5).every((each) => each === 1));
  });

  test('are tried again where they brought nothing: later and later, and with success where the line is free by then', () => {
    const rest = TRY_AGAIN_MS / STEP_MS;
    const always = run(new Growth(4), () => 4 * MB, 12 * rest);
    const tries = always.flatMap((each, at) => (each > 1 && always[at - 1] === 1 ? [at] : []));
    assert.equal(tries.length, 4);
    const rests = tries.slice(1).map((at, place) => at - (tries[place] ?? 0));
    for (const [place, steps] of rests.entries()) {
      assert.ok(steps >= rest * 2 ** place && steps < rest * 2 ** place + 8, rests.join());
    }
    let at = 0;
    const busyAtFirst = run(new Growth(4), (connections) => (at++ < 8 ? 4 : connections * 4) * MB, 3 * rest);
    assert.equal(busyAtFirst[rest - 1], 1);
    assert.equal(busyAtFirst.at(-1), 4);
  });

  test('stay at the last number that helped', () => {
    const wanted = run(new Growth(16), (connections) => Math.min(connections, 4) * 4 * MB, 16);
    assert.equal(Math.max(...wanted), 8);
    assert.equal(wanted.at(-1), 4);
  });

  test('stay where a line is faster by an eighth, and not by less', () => {
    assert.equal(run(new Growth(2), (connections) => (connections === 1 ? 8 : 9) * MB, 12).at(-1), 2);
    assert.equal(run(new Growth(2), (connections) => (connections === 1 ? 8 : 8.9) * MB, 12).at(-1), 1);
  });

  test('are not tried where one is as fast as the processor', () => {
    assert.ok(run(new Growth(8), () => 300 * MB, 8).every((each) => each === 1));
  });

  test('are measured once all have begun: what opens slowly is no loss', () => {
    const growth = new Growth(2);
    growth.step({ now: 0, received: 0, opening: 0 });
    growth.step({ now: 250, received: MB, opening: 0 });
    growth.step({ now: 500, received: 2 * MB, opening: 0 });
    assert.equal(growth.wanted, 2);
    for (let at = 3; at < 20; at += 1) growth.step({ now: at * 250, received: 2 * MB, opening: 1 });
    assert.equal(growth.wanted, 2);
    growth.step({ now: 5000, received: 2 * MB, opening: 0 });
    growth.step({ now: 5250, received: 4 * MB, opening: 0 });
    growth.step({ now: 5500, received: 6 * MB, opening: 0 });
    growth.step({ now: 5750, received: 8 * MB, opening: 0 });
    assert.equal(growth.wanted, 2);
  });

  test('are one where the most is one, or less', () => {
    for (const most of [1, 0]) assert.ok(run(new Growth(most), (count) => count * MB, 6).every((each) => each === 1));
  });

  test('are judged by what is measured later where an upstream was dropped', () => {
    const growth = new Growth(4);
    const step = (at: number, received: number) => growth.step({ now: at * 250, received, opening: 0 });
    for (let at = 0; at < 3; at += 1) step(at, at * MB);
    assert.equal(growth.wanted, 2);
    step(3, 3 * MB);
    step(4, 4 * MB);
    // Without this the next one without a gain would end the try.
    growth.again();
    step(5, 5 * MB);
    step(6, 6 * MB);
    assert.equal(growth.wanted, 2);
    step(7, 8 * MB);
    assert.equal(growth.wanted, 4);
  });

  test('become fewer at once by a limit, and no more than that again', () => {
    const growth = new Growth(8);
    run(growth, (connections) => connections * MB, 8);
    assert.equal(growth.wanted, 8);
    growth.limit(4);
    assert.equal(growth.wanted, 4);
    run(growth, (connections) => connections * MB, 6);
    assert.equal(growth.wanted, 4);
  });
});
