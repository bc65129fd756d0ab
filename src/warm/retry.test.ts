import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { FakeFailure } from '../../test/support/fake-origin.ts';
import type { FailureKind } from '../oci/index.ts';
import { OciError } from '../oci/index.ts';
import { WarmError } from './error.ts';
import { retryDelay } from './retry.ts';

const first = { failures: 1, random: 0 };
const asking = (kind: FailureKind, retryAfter: number) => Object.assign(new FakeFailure(kind), { retryAfter });

describe('another attempt', () => {
  test('comes later each time, and there are three', () => {
    const delays = [1, 2, 3, 4].map((failures) => retryDelay(new FakeFailure('unavailable'), { failures, random: 0 }));
    assert.deepEqual(delays, [2000, 15_000, 60_000, undefined]);
  });

  test('is spread, so that images that failed together do not come together', () => {
    assert.equal(retryDelay(new FakeFailure('unavailable'), { failures: 1, random: 0.5 }), 2500);
  });

  for (const kind of ['not-found', 'denied', 'invalid', 'loop'] as const) {
    test(`never follows an answer that is ${kind}`, () => {
      assert.equal(retryDelay(new FakeFailure(kind), first), undefined);
    });
  }

  test('waits as long as the upstream asks, and is not made where that is very long', () => {
    assert.equal(retryDelay(asking('unavailable', 30), first), 30_000);
    assert.equal(retryDelay(asking('unavailable', 0), first), 2000);
    assert.equal(retryDelay(asking('throttled', 900), first), 900_000);
    assert.equal(retryDelay(asking('throttled', 21_600), first), undefined);
  });

  test('spares a limit of pulls for a minute', () => {
    assert.equal(retryDelay(new FakeFailure('throttled'), first), 60_000);
  });

  test('follows what passes by itself', () => {
    assert.equal(retryDelay(new WarmError('the cache keeps nothing now', { isPassing: true }), first), 2000);
    assert.equal(retryDelay(new OciError('UNAVAILABLE', 'busy'), first), 2000);
    for (const error of [
      new WarmError('it has no image for linux/s390x', { isPassing: false }),
      new OciError('NAME_UNKNOWN', 'no registry is called x'),
      new TypeError('a fault of ours'),
    ]) {
      assert.equal(retryDelay(error, first), undefined);
    }
  });
});
