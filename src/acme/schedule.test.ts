import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { afterFailure, afterReload, hasNames, type OrderFailure, orderAt } from './schedule.ts';

const MINUTE = 60_000;
const DAY = 24 * 60 * MINUTE;
const domains = ['a.example.com'];
const certificate = { names: domains, validFrom: 0, expiresAt: 90 * DAY, storedAt: 0 };
const standing = { certificate, domains, window: undefined, failure: undefined, jitter: 0, now: 0 };
const failed: OrderFailure = { failures: 3, attemptedAt: 61 * DAY, nextAttemptAt: 61 * DAY + 45 * MINUTE, error: 'x' };

describe('orderAt', () => {
  const week = { start: 50 * DAY, end: 52 * DAY };
  const rows: readonly (readonly [what: string, given: Partial<Parameters<typeof orderAt>[0]>, expected: number])[] = [
    ['at once without a certificate', { certificate: undefined }, 0],
    ['at once where a domain is new', { domains: ['a.example.com', 'b.example.com'] }, 0],
    [
      'at once where a domain has left',
      { certificate: { ...certificate, names: ['a.example.com', 'b.example.com'] } },
      0,
    ],
    ['at two thirds of the life', {}, 60 * DAY],
    ['up to 36 hours later, by the jitter', { jitter: 1 }, 61.5 * DAY],
    ['in the window of the server', { window: week, jitter: 0.5 }, 51 * DAY],
    ['before the end, whatever the server wants', { window: { start: 200 * DAY, end: 201 * DAY } }, 81 * DAY],
    ['a day after the last one, where the window is in the past', { window: { start: -2 * DAY, end: -DAY } }, DAY],
    [
      'after a third of a short life, likewise',
      { window: { start: -2, end: -1 }, certificate: { ...certificate, expiresAt: 60_000 } },
      20_000,
    ],
    ['ten seconds after one without a life', { certificate: { ...certificate, expiresAt: 0 } }, 10_000],
    [
      'not one after the other where the clock is wrong',
      { certificate: { ...certificate, storedAt: 500 * DAY } },
      501 * DAY,
    ],
    ['not before the back-off ends', { failure: failed, now: 61 * DAY }, failed.nextAttemptAt],
    ['without a back-off that a wrong clock wrote', { failure: failed, now: 60 * DAY }, 60 * DAY],
    [
      'after the back-off too, where it is renewed later',
      { failure: { ...failed, attemptedAt: 0, nextAttemptAt: 1 } },
      60 * DAY,
    ],
  ];
  for (const [what, given, expected] of rows) {
    test(what, () => assert.equal(orderAt({ ...standing, ...given }), expected));
  }
});

describe('afterFailure', () => {
  const usual = { error: 'x', isRateLimited: false, retryAfter: undefined, jitter: 0 };

  test('waits longer after each failure, and has five attempts at most in any hour', () => {
    const attempts = [0];
    let earlier: OrderFailure | undefined;
    for (let now = 0; now < 3 * DAY; now = earlier.nextAttemptAt) {
      earlier = afterFailure({ ...usual, earlier, now });
      attempts.push(earlier.nextAttemptAt);
    }
    const inAnHour = attempts.map((from) => attempts.filter((at) => at >= from && at < from + 60 * MINUTE).length);
    assert.ok(Math.max(...inAnHour) <= 5, String(inAnHour));
    const [one, two] = attempts.slice(-2);
    assert.equal((two ?? 0) - (one ?? 0), 6 * 60 * MINUTE);
  });

  test('waits as long as the server asks, for a day at most, and an hour where it names a limit alone', () => {
    const wait = (given: Partial<Parameters<typeof afterFailure>[0]>) =>
      afterFailure({ ...usual, earlier: undefined, now: 0, ...given }).nextAttemptAt;
    assert.equal(wait({}), MINUTE);
    assert.equal(wait({ retryAfter: 20 * MINUTE }), 20 * MINUTE);
    assert.equal(wait({ retryAfter: 1 }), MINUTE);
    assert.equal(wait({ retryAfter: 30 * DAY }), DAY);
    assert.equal(wait({ isRateLimited: true }), 60 * MINUTE);
    assert.equal(wait({ isRateLimited: true, retryAfter: 5 * MINUTE }), 5 * MINUTE);
  });

  test('a reload shortens the wait, but not below a quarter of an hour', () => {
    const long = { ...failed, nextAttemptAt: failed.attemptedAt + 6 * 60 * MINUTE };
    assert.equal(afterReload(long).nextAttemptAt, failed.attemptedAt + 15 * MINUTE);
    const short = { ...failed, nextAttemptAt: failed.attemptedAt + MINUTE };
    assert.equal(afterReload(short).nextAttemptAt, short.nextAttemptAt);
  });
});

test('hasNames takes any order and case, and no other name', () => {
  assert.equal(hasNames(['B.example', 'a.example'], ['a.example', 'b.example']), true);
  assert.equal(hasNames(['a.example'], ['a.example', 'b.example']), false);
  assert.equal(hasNames(['a.example', 'b.example'], ['a.example']), false);
  assert.equal(hasNames([], ['a.example']), false);
});
