import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { MAX_ATTEMPTS, retryPolicy } from './schedule.ts';

const HOUR = 3_600_000;

function delaysOf(random: number): readonly (number | undefined)[] {
  const { delayAfter } = retryPolicy(() => random);
  return Array.from({ length: MAX_ATTEMPTS }, (_, at) => delayAfter(at + 1));
}

describe('retryPolicy()', () => {
  test('makes ten attempts in some six hours, and gives up then', () => {
    const delays = delaysOf(0.5);
    assert.equal(delays.at(-1), undefined);
    const waits = delays.slice(0, -1).map(Number);
    assert.deepEqual(
      waits.slice(0, 4).map((wait) => wait / 1000),
      [15, 45, 135, 405],
    );
    const total = waits.reduce((sum, wait) => sum + wait, 0);
    assert.ok(Math.abs(total - 6 * HOUR) < 0.1 * HOUR, `${total / HOUR} h`);
    assert.ok(waits.every((wait, at) => at === 0 || wait >= Number(waits[at - 1])));
  });

  test('varies each wait by a fifth', () => {
    const [least, most] = [delaysOf(0), delaysOf(1)];
    assert.equal(least[0], 12_000);
    assert.equal(most[0], 18_000);
    assert.equal(retryPolicy(() => 1).delayAfter(MAX_ATTEMPTS + 5), undefined);
  });

  test('leaves a failing receiver alone for a second at first, and for a minute at most', () => {
    const { pauseAfter } = retryPolicy(() => 0.5);
    assert.deepEqual([0, 1, 2, 3, 7, 1000].map(pauseAfter), [0, 1000, 2000, 4000, 60_000, 60_000]);
  });
});
