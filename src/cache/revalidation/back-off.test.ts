import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { FakeFailure } from '../../../test/support/fake-origin.ts';
import { BackOff, backOffDelay, type Failure } from './back-off.ts';

describe('backOffDelay()', () => {
  const rows = [
    [1, undefined, 5000, 'five seconds at first'],
    [2, undefined, 10_000, 'twice as long then'],
    [7, undefined, 300_000, 'five minutes at the most'],
    [500, undefined, 300_000, 'for ever after'],
    [1, 60, 60_000, 'as long as the upstream asks'],
    [7, 2, 2000, 'no longer than the upstream asks'],
    [1, 86_400, 300_000, 'five minutes where it asks for a day'],
  ] as const;
  for (const [failures, retryAfter, expected, what] of rows) {
    test(what, () => assert.equal(backOffDelay(failures, retryAfter), expected));
  }
});

describe('BackOff', () => {
  test('leaves a tag alone, longer with each failure, until an answer comes', () => {
    let now = 1_000_000;
    const backOff = new BackOff(() => now);
    const fail = (): void => backOff.failed('tag', new FakeFailure('unavailable'), { isRefusal: false });
    const isBackingOff = (): boolean => backOff.isBackingOff(backOff.get('tag') as Failure);
    fail();
    assert.ok(isBackingOff());
    now += 5000;
    assert.ok(!isBackingOff());
    fail();
    now += 9999;
    assert.ok(isBackingOff());
    // A clock that was set back must not silence the question for as long.
    now -= 20_000;
    assert.ok(!isBackingOff());
    backOff.answered('tag');
    assert.equal(backOff.get('tag'), undefined);
  });

  test('never rests on a refusal: that is for the upstream to repeat', () => {
    const backOff = new BackOff(() => 0);
    backOff.failed('tag', new FakeFailure('denied'), { isRefusal: true });
    assert.ok(!backOff.isBackingOff(backOff.get('tag') as Failure));
  });
});
