import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { isHourlyOrSlower, type Recurrence, spreadOf, timesOf } from './times.ts';

function firstOf(recurrence: Recurrence, after: string, count: number): string[] {
  const times = timesOf(recurrence);
  const found: string[] = [];
  for (let time = times(Date.parse(after)); time !== undefined && found.length < count; time = times(time)) {
    found.push(new Date(time).toISOString());
  }
  return found;
}

describe('times', () => {
  test('of an interval are the multiples since 1970', () => {
    const everySixHours: Recurrence = { kind: 'every', ms: 6 * 3_600_000 };
    assert.deepEqual(firstOf(everySixHours, '2026-03-02T06:00:00Z', 2), [
      '2026-03-02T12:00:00.000Z',
      '2026-03-02T18:00:00.000Z',
    ]);
    assert.deepEqual(firstOf(everySixHours, '2026-03-02T05:59:59.999Z', 1), ['2026-03-02T06:00:00.000Z']);
  });

  test('of a time zone follow its daylight saving time, and none is left out or doubled', () => {
    const nightly: Recurrence = { kind: 'cron', expression: '30 2 * * *', timeZone: 'Europe/Berlin' };
    // 29 March 2026: 02:30 does not exist, and what is due then is done at 03:00. 25 October 2026: it exists twice.
    assert.deepEqual(firstOf(nightly, '2026-03-28T00:00:00Z', 3), [
      '2026-03-28T01:30:00.000Z',
      '2026-03-29T01:00:00.000Z',
      '2026-03-30T00:30:00.000Z',
    ]);
    assert.deepEqual(firstOf(nightly, '2026-10-24T12:00:00Z', 2), [
      '2026-10-25T00:30:00.000Z',
      '2026-10-26T01:30:00.000Z',
    ]);
  });

  test('of a day of the month or of the week are those of either, as cron has it', () => {
    const either: Recurrence = { kind: 'cron', expression: '0 0 13 * FRI', timeZone: 'UTC' };
    assert.deepEqual(firstOf(either, '2026-05-09T00:00:00Z', 3), [
      '2026-05-13T00:00:00.000Z',
      '2026-05-15T00:00:00.000Z',
      '2026-05-22T00:00:00.000Z',
    ]);
  });

  const cases: readonly (readonly [Recurrence, boolean])[] = [
    [{ kind: 'cron', expression: '0 * * * *' }, true],
    [{ kind: 'cron', expression: '0 3 * * *' }, true],
    [{ kind: 'cron', expression: '0,30 3 * * *' }, false],
    [{ kind: 'cron', expression: '*/5 * * * *' }, false],
    [{ kind: 'every', ms: 3_600_000 }, true],
    [{ kind: 'every', ms: 3_599_999 }, false],
  ];
  for (const [recurrence, expected] of cases) {
    test(`${JSON.stringify(recurrence)} ${expected ? 'is' : 'is not'} hourly or slower`, () =>
      assert.equal(isHourlyOrSlower(timesOf(recurrence), Date.parse('2026-03-02T01:00:00Z')), expected));
  }

  test('are spread over a minute, by server and name', () => {
    const spreads = Array.from({ length: 200 }, (_, server) => spreadOf(`server-${server}`, 'base'));
    assert.equal(spreadOf('server-0', 'base'), spreads[0]);
    assert.ok(spreads.every((each) => each >= 0 && each < 60_000));
    const halves = spreads.filter((each) => each < 30_000).length;
    assert.ok(halves > 60 && halves < 140, String(halves));
    assert.ok(new Set(spreads).size > 190);
  });
});
