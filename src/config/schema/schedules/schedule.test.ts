import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Cron } from 'croner';
import fc from 'fast-check';
import { parseSchedule, shortestPause } from './schedule.ts';

describe('a schedule', () => {
  const read: readonly (readonly [string, ReturnType<typeof parseSchedule>])[] = [
    ['0 3 * * *', { kind: 'cron', expression: '0 3 * * *' }],
    ['  */15   9-17 * jan,DEC mon-fri ', { kind: 'cron', expression: '*/15 9-17 * jan,DEC mon-fri' }],
    ['0 0 29 2 *', { kind: 'cron', expression: '0 0 29 2 *' }],
    ['0 0 31 2 7', { kind: 'cron', expression: '0 0 31 2 7' }],
    ['@hourly', { kind: 'cron', expression: '0 * * * *' }],
    ['@Daily', { kind: 'cron', expression: '0 0 * * *' }],
    ['@weekly', { kind: 'cron', expression: '0 0 * * 0' }],
    ['every 6h', { kind: 'every', ms: 6 * 3_600_000 }],
    ['every 1h30m', { kind: 'every', ms: 5_400_000 }],
  ];
  for (const [text, expected] of read) {
    test(`is read: ${text.trim()}`, () => assert.deepEqual(parseSchedule(text), expected));
  }

  const refused = [
    '',
    '@yearly',
    '@reboot',
    'every 59s',
    'every 400d',
    'every',
    'every 6',
    '* * * *',
    '* * * * * *',
    '60 * * * *',
    '* 24 * * *',
    '* * 0 * *',
    '* * * 13 *',
    '* * * * 8',
    '5-1 * * * *',
    '5/10 * * * *',
    '*/0 * * * *',
    '*/99 * * * *',
    '*-5 * * * *',
    '1,,2 * * * *',
    '-1 * * * *',
    '* * L * *',
    '* * * * MON#2',
    '0 0 31 2 *',
    '0 0 31 4,6 *',
    `${'0,'.repeat(200)}0 * * * *`,
  ];
  for (const text of refused) {
    test(`is refused: ${text.slice(0, 20)}`, () => assert.equal(parseSchedule(text), undefined));
  }

  test('that is read comes, as the one who calculates it says', () => {
    const field = (least: number, most: number): fc.Arbitrary<string> => {
      const value = fc.integer({ min: least, max: most });
      const range = fc.tuple(value, value).map(([one, other]) => `${Math.min(one, other)}-${Math.max(one, other)}`);
      const step = fc.integer({ min: 1, max: most });
      const stepped = fc.tuple(fc.oneof(fc.constant('*'), range), step).map(([of, by]) => `${of}/${by}`);
      const item = fc.oneof(fc.constant('*'), value.map(String), range, stepped);
      return fc.array(item, { minLength: 1, maxLength: 3 }).map((items) => items.join(','));
    };
    const fields = fc.tuple(field(0, 59), field(0, 23), field(1, 31), field(1, 12), field(0, 7));
    fc.assert(
      fc.property(fields, (texts) => {
        const schedule = parseSchedule(texts.join(' '));
        if (schedule?.kind !== 'cron') return;
        const cron = new Cron(schedule.expression, { mode: '5-part', timezone: 'UTC' });
        const [first, second] = cron.nextRuns(2, new Date('2026-01-01T00:00:00Z'));
        assert.ok(first !== undefined && second !== undefined, schedule.expression);
        assert.ok(second.getTime() - first.getTime() >= 60_000);
      }),
      { numRuns: 200 },
    );
  });

  const pauses: readonly (readonly [string, number])[] = [
    ['* * * * *', 1],
    ['*/5 * * * *', 5],
    ['0,58 * * * *', 2],
    ['0,58 */12 * * *', 58],
    ['0 3 * * *', 60],
    ['every 3m', 3],
    ['every 6h', 60],
  ];
  for (const [text, minutes] of pauses) {
    test(`${text} has a shortest pause of ${minutes} minutes`, () => {
      const schedule = parseSchedule(text);
      assert.ok(schedule !== undefined);
      assert.equal(shortestPause(schedule), minutes * 60_000);
    });
  }
});
