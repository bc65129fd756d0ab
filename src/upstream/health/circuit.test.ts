import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Circuit, type CircuitFailure, openFor } from './circuit.ts';

const refused: CircuitFailure = { kind: 'unavailable', opens: 'at-once', reason: 'refused', retryAfter: undefined };
const bad: CircuitFailure = {
  kind: 'unavailable',
  opens: 'in-a-row',
  reason: 'it answered 502',
  retryAfter: undefined,
};
const throttled: CircuitFailure = { kind: 'throttled', opens: 'at-once', reason: 'it answered 429', retryAfter: 40 };

const START = 1_000_000;

/** A circuit with a clock that is set by hand. */
function stage(random = 0) {
  const clock = { now: START };
  const circuit = new Circuit({ now: () => clock.now, random: () => random });
  const fail = (failure: CircuitFailure): number | undefined => circuit.fail(circuit.enter().ticket, failure);
  return { clock, circuit, fail };
}

describe('openFor', () => {
  const rows: readonly (readonly [CircuitFailure, number, number, number])[] = [
    [refused, 1, 0.99, 1000],
    [refused, 2, 0, 1000],
    [refused, 2, 0.5, 1500],
    [refused, 4, 0.5, 4500],
    [refused, 7, 0.5, 30_500],
    [refused, 7, 0, 1000],
    [refused, 1000, 0.999_999, 60_000],
    [throttled, 1, 0.5, 40_000],
    [throttled, 9, 0, 40_000],
    [{ ...throttled, retryAfter: 0 }, 1, 0, 1000],
    [{ ...throttled, retryAfter: 86_400 }, 1, 0, 900_000],
    [{ ...throttled, retryAfter: undefined }, 3, 0.5, 2500],
    [{ ...bad, retryAfter: 5 }, 1, 0, 5000],
    [{ ...bad, retryAfter: 86_400 }, 1, 0, 60_000],
  ];
  for (const [failure, openings, random, expected] of rows) {
    test(`${failure.reason}, retry-after ${failure.retryAfter}, opening ${openings}, ${random}: ${expected} ms`, () => {
      assert.equal(openFor(failure, { openings, random }), expected);
    });
  }
});

describe('Circuit', () => {
  test('is closed, and lets everybody through', () => {
    const { circuit } = stage();
    assert.equal(circuit.refusal(), undefined);
    assert.equal(circuit.view(), undefined);
    assert.deepEqual(
      Array.from({ length: 3 }, () => circuit.enter().changed),
      [false, false, false],
    );
  });

  test('opens at one failure that another try would not cure', () => {
    const { circuit, fail, clock } = stage();
    assert.equal(fail(refused), 1000);
    clock.now += 300;
    assert.deepEqual(circuit.refusal(), {
      kind: 'unavailable',
      reason: 'refused',
      since: START,
      wait: 700,
      state: 'open',
    });
  });

  test('opens at the third in a row of those that it might, told since the first', () => {
    const { circuit, fail, clock } = stage();
    assert.equal(fail(bad), undefined);
    clock.now += 10;
    assert.equal(fail(bad), undefined);
    assert.equal(circuit.refusal(), undefined);
    assert.equal(fail(bad), 1000);
    assert.equal(circuit.refusal()?.since, START);
  });

  test('an answer in between begins the row again', () => {
    const { circuit, fail, clock } = stage();
    fail(bad);
    fail(bad);
    assert.equal(circuit.succeed(circuit.enter().ticket), false, 'it was closed all the time');
    clock.now += 10;
    fail(bad);
    fail(bad);
    assert.equal(circuit.refusal(), undefined);
    fail(bad);
    assert.equal(circuit.refusal()?.since, START + 10);
  });

  test('lets one through when its time is over, and refuses the others meanwhile', () => {
    const { circuit, fail, clock } = stage();
    fail(refused);
    clock.now += 999;
    assert.equal(circuit.view()?.state, 'open');
    assert.equal(circuit.refusal()?.wait, 1);
    clock.now += 1;
    assert.equal(circuit.refusal(), undefined);
    assert.equal(circuit.view()?.state, 'half-open');
    const probe = circuit.enter();
    assert.equal(probe.changed, true);
    assert.equal(circuit.refusal()?.state, 'half-open');
    assert.equal(circuit.succeed(probe.ticket), true);
    assert.equal(circuit.refusal(), undefined);
    assert.equal(circuit.view(), undefined);
  });

  test('opens for longer each time a probe fails, up to a minute, and begins with the first time again once it was closed', () => {
    const { circuit, fail, clock } = stage(0.999_999);
    const waits: (number | undefined)[] = [];
    for (let i = 0; i < 8; i += 1) {
      const wait = fail(i % 2 === 0 ? refused : bad);
      waits.push(wait);
      clock.now += wait ?? 0;
    }
    assert.deepEqual(waits, [1000, 2000, 4000, 8000, 16_000, 32_000, 60_000, 60_000]);
    assert.equal(circuit.view()?.since, START, 'all that is one trouble');
    circuit.succeed(circuit.enter().ticket);
    assert.equal(fail(refused), 1000);
  });

  test('what was asked before it opened is not counted, however it ends', () => {
    const { circuit, clock } = stage();
    const before = Array.from({ length: 100 }, () => circuit.enter().ticket);
    const outcomes = before.map((ticket) => circuit.fail(ticket, refused));
    assert.deepEqual(outcomes, [1000, ...Array<undefined>(99).fill(undefined)]);
    assert.equal(circuit.succeed(circuit.enter().ticket - 2), false);
    const late = before[1] as number;
    clock.now += 1000;
    const probe = circuit.enter().ticket;
    assert.equal(circuit.succeed(late), false);
    circuit.release(late);
    assert.equal(circuit.refusal()?.state, 'half-open', 'the probe alone decides');
    circuit.succeed(probe);
    assert.equal(circuit.fail(late, refused), undefined);
    assert.equal(circuit.refusal(), undefined);
  });

  test('a probe that was given up makes way for the next at once', () => {
    const { circuit, fail, clock } = stage();
    fail(refused);
    clock.now += 1000;
    circuit.release(circuit.enter().ticket);
    assert.equal(circuit.refusal(), undefined);
    assert.equal(circuit.enter().changed, true);
    assert.equal(circuit.refusal()?.state, 'half-open');
  });

  test('a probe that is never heard of again makes way after a minute, and counts no more', () => {
    const { circuit, fail, clock } = stage();
    fail(refused);
    clock.now += 1000;
    const lost = circuit.enter().ticket;
    clock.now += 59_999;
    assert.equal(circuit.refusal()?.state, 'half-open');
    clock.now += 1;
    assert.equal(circuit.refusal(), undefined);
    const probe = circuit.enter();
    assert.equal(probe.changed, false, 'it is half-open as before');
    assert.equal(circuit.succeed(lost), false);
    assert.equal(circuit.succeed(probe.ticket), true);
  });

  test('a clock that is set back ends its time', () => {
    const { circuit, fail, clock } = stage();
    fail(throttled);
    clock.now -= 1;
    assert.equal(circuit.refusal(), undefined);
    assert.equal(circuit.view()?.state, 'half-open');
    const lost = circuit.enter();
    assert.equal(lost.changed, true);
    clock.now -= 1;
    assert.equal(circuit.refusal(), undefined);
  });

  test('releasing what was asked while it was closed changes nothing', () => {
    const { circuit } = stage();
    circuit.release(circuit.enter().ticket);
    assert.equal(circuit.enter().changed, false);
  });
});
