import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { type Events, Telemetry } from '../telemetry/index.ts';
import type { RunRecord, ScheduleSpec } from './schedule.ts';
import { Schedules, type WorkResult } from './schedules.ts';
import { spreadOf } from './times.ts';

const HOUR = 3_600_000;
const SEED = 'a server';
const START = Date.parse('2026-03-02T00:10:00Z');
const at = (time: string): number => Date.parse(`2026-03-02T${time}Z`);

const hourly: ScheduleSpec = {
  name: 'base',
  label: 'base',
  kind: 'warm',
  schedule: 'every 1h',
  recurrence: { kind: 'every', ms: HOUR },
  images: ['nginx:1.27', 'redis:8'],
};
const often: ScheduleSpec = { ...hourly, schedule: 'every 5m', recurrence: { kind: 'every', ms: 300_000 } };
const DONE: WorkResult = { done: 2, failed: 0, cancelled: 0, fetched: 7, errors: [] };
const FAILED: WorkResult = {
  done: 1,
  failed: 1,
  cancelled: 0,
  fetched: 3,
  errors: Array.from({ length: 9 }, (_, index) => ({ image: `i${index}`, error: 'e'.repeat(1000) })),
};
const CANCELLED: WorkResult = { ...DONE, done: 0, cancelled: 2 };
const spread = spreadOf(SEED, 'base');

/** A clock that is moved by hand: timers fire in their order, and what follows them runs before the next. */
function clockAt(start: number) {
  const clock = { time: start, timers: new Map<object, { readonly at: number; readonly call: () => void }>() };
  return {
    now: () => clock.time,
    /** Timers do not follow. */
    set(time: number) {
      for (const [key, timer] of clock.timers) clock.timers.set(key, { ...timer, at: timer.at + time - clock.time });
      clock.time = time;
    },
    timers: () => clock.timers.size,
    after: (milliseconds: number, call: () => void): (() => void) => {
      const key = {};
      clock.timers.set(key, { at: clock.time + milliseconds, call });
      return () => clock.timers.delete(key);
    },
    async to(time: number) {
      for (;;) {
        const [first] = [...clock.timers].sort(([, one], [, other]) => one.at - other.at);
        if (first === undefined || first[1].at > time) break;
        clock.timers.delete(first[0]);
        clock.time = Math.max(clock.time, first[1].at);
        first[1].call();
        await turn();
      }
      clock.time = time;
    },
  };
}

interface Begun {
  readonly name: string;
  readonly by: string;
  readonly at: number;
  readonly end: (result?: WorkResult) => Promise<void>;
}

function stage({
  records = new Map<string, RunRecord>(),
  start = START,
  refuse,
  isUnnamed = false,
}: {
  readonly records?: ReadonlyMap<string, RunRecord>;
  readonly start?: number;
  readonly refuse?: Error;
  /** Work has no name until `named()`. */
  readonly isUnnamed?: boolean;
} = {}) {
  let hasName = !isUnnamed;
  const clock = clockAt(start);
  const telemetry = new Telemetry();
  const begun: Begun[] = [];
  const ended: Events['schedule.ended'][] = [];
  const warnings: string[] = [];
  telemetry.on('schedule.ended', (event) => ended.push(event));
  telemetry.on('warning', ({ message }) => warnings.push(message));
  const saved: { records: Map<string, RunRecord>; fault: Error | undefined } = {
    records: new Map(records),
    fault: undefined,
  };
  const schedules = new Schedules<ScheduleSpec>({
    telemetry,
    seed: SEED,
    now: clock.now,
    after: clock.after,
    file: {
      records,
      save(current) {
        if (saved.fault !== undefined) return Promise.reject(saved.fault);
        saved.records = new Map(current);
        return Promise.resolve();
      },
    },
    begin({ name: schedule }, by) {
      if (refuse !== undefined) throw refuse;
      const { promise, resolve } = Promise.withResolvers<WorkResult>();
      const end = async (result = DONE): Promise<void> => {
        resolve(result);
        await turn();
      };
      begun.push({ name: schedule, by, at: clock.now(), end });
      const name = `job-${begun.length}`;
      return {
        get job() {
          return hasName ? name : undefined;
        },
        ended: promise,
        cancel: () => resolve(CANCELLED),
      };
    },
  });
  const named = (): void => void (hasName = true);
  return { clock, schedules, begun, ended, warnings, saved, named, last: () => begun.at(-1) as Begun };
}

const recordAt = (startedAt: number, more: Partial<RunRecord> = {}): RunRecord => ({
  startedAt,
  endedAt: startedAt + 1,
  outcome: 'done',
  by: 'schedule',
  done: 2,
  failed: 0,
  fetched: 0,
  errors: [],
  failing: false,
  ...more,
});

describe('a schedule', () => {
  test('runs when it is due, up to a minute later, and again', async () => {
    const { clock, schedules, begun, last, saved } = stage();
    schedules.configure([hourly], { isPaused: false });
    assert.equal(schedules.list()[0]?.nextAt, at('01:00:00') + spread);
    await clock.to(at('01:00:00') + spread - 1);
    assert.equal(begun.length, 0);
    await clock.to(at('01:00:00') + spread);
    assert.deepEqual([begun.length, last().by, last().at], [1, 'schedule', at('01:00:00') + spread]);
    assert.equal(schedules.list()[0]?.running?.job, 'job-1');
    assert.equal(saved.records.get('base')?.outcome, undefined);
    await last().end();
    const [state] = schedules.list();
    assert.deepEqual([state?.running, state?.last?.outcome, state?.last?.fetched], [undefined, 'done', 7]);
    assert.equal(saved.records.get('base')?.outcome, 'done');
    await clock.to(at('03:59:00'));
    assert.equal(begun.length, 2);
  });

  test('never runs twice at a time: what is due meanwhile is left out', async () => {
    const { clock, schedules, begun, last } = stage();
    schedules.configure([hourly], { isPaused: false });
    await clock.to(at('04:30:00'));
    assert.equal(begun.length, 1);
    assert.deepEqual(schedules.run('base', 'alice')?.isNew, false);
    await last().end();
    assert.equal(begun.length, 1);
    await clock.to(at('05:30:00'));
    assert.equal(begun.length, 2);
  });

  test('shows its last run while the next one runs, and whether it failed', async () => {
    const { schedules, last } = stage();
    schedules.configure([hourly], { isPaused: false });
    schedules.run('base', 'alice');
    await last().end(FAILED);
    schedules.run('base', 'bob');
    const [state] = schedules.list();
    assert.deepEqual([state?.running?.by, state?.last?.by, state?.failing], ['bob', 'alice', true]);
    await last().end();
    assert.deepEqual([schedules.list()[0]?.last?.by, schedules.list()[0]?.failing], ['bob', false]);
  });

  test('is run by an operator, by its name', async () => {
    const { schedules, begun, ended } = stage();
    schedules.configure([hourly], { isPaused: false });
    assert.equal(schedules.run('other', 'alice'), undefined);
    const answer = schedules.run('base', 'alice');
    assert.deepEqual([answer?.isNew, answer?.state.running?.by], [true, 'alice']);
    await begun[0]?.end();
    assert.deepEqual([ended[0]?.by, ended[0]?.outcome], ['alice', 'done']);
  });

  test('that failed and then did not has recovered; a stopped run between them says nothing', async () => {
    const { schedules, ended, last, saved } = stage();
    schedules.configure([hourly], { isPaused: false });
    for (const result of [FAILED, CANCELLED, FAILED, DONE, DONE]) {
      schedules.run('base', 'alice');
      await last().end(result);
    }
    assert.deepEqual(
      ended.map(({ outcome, recovered }) => [outcome, recovered]),
      [
        ['failed', false],
        ['stopped', false],
        ['failed', false],
        ['done', true],
        ['done', false],
      ],
    );
    assert.deepEqual([ended[0]?.errors.length, ended[0]?.errors[0]?.error.length], [5, 500]);
    assert.equal(saved.records.get('base')?.failing, false);
  });

  test('fails where a run cannot begin, and runs the next time', async () => {
    const { clock, schedules, ended } = stage({ refuse: new Error('too many jobs') });
    schedules.configure([hourly], { isPaused: false });
    await clock.to(at('02:30:00'));
    assert.deepEqual(
      ended.map(({ outcome, failed, errors }) => [outcome, failed, errors]),
      Array.from({ length: 2 }, () => ['failed', 2, [{ image: '', error: 'too many jobs' }]]),
    );
    assert.throws(() => schedules.run('base', 'alice'), /too many jobs/);
  });

  test('of either kind is told with its kind, and with the bytes that it moved', async () => {
    const { schedules, ended, last, saved } = stage();
    const copy: ScheduleSpec = { ...hourly, name: 'hot', kind: 'copy', images: [{ from: 'a', to: 'b' }] };
    schedules.configure([hourly, copy], { isPaused: false });
    for (const [name, result] of [
      ['base', DONE],
      ['hot', { ...DONE, fetched: 0, sent: 9 }],
    ] as const) {
      schedules.run(name, 'alice');
      await last().end(result);
    }
    assert.deepEqual(
      ended.map(({ schedule, kind, fetched, sent }) => [schedule, kind, fetched, sent]),
      [
        ['base', 'warm', 7, undefined],
        ['hot', 'copy', 0, 9],
      ],
    );
    assert.deepEqual([saved.records.get('base')?.sent, saved.records.get('hot')?.sent], [undefined, 9]);
  });

  test('is known to run before its work has a name', async () => {
    const { schedules, begun, named } = stage({ isUnnamed: true });
    schedules.configure([hourly], { isPaused: false });
    assert.deepEqual(schedules.run('base', 'alice')?.state.running, { startedAt: START, by: 'alice' });
    assert.deepEqual([schedules.run('base', 'bob')?.isNew, begun.length], [false, 1]);
    named();
    assert.equal(schedules.list()[0]?.running?.job, 'job-1');
  });

  test('does not run while the server is offline, and then by its times', async () => {
    const { clock, schedules, begun } = stage();
    schedules.configure([hourly], { isPaused: true });
    assert.equal(schedules.list()[0]?.nextAt, undefined);
    await clock.to(at('05:30:00'));
    assert.deepEqual([begun.length, clock.timers()], [0, 0]);
    schedules.configure([hourly], { isPaused: false });
    assert.equal(schedules.list()[0]?.nextAt, at('06:00:00') + spread);
  });
});

describe('a run that was missed', () => {
  test('is made up for once, soon after the start', async () => {
    const { clock, schedules, begun, last } = stage({
      records: new Map([['base', recordAt(at('00:10:00') - 5 * HOUR)]]),
    });
    schedules.configure([hourly], { isPaused: false });
    await clock.to(START + spread);
    assert.equal(begun.length, 1);
    await last().end();
    await clock.to(at('00:59:00'));
    assert.equal(begun.length, 1);
  });

  test('is not made up for where nothing was missed, where it never ran, or where it runs often', async () => {
    const cases: readonly (readonly [ScheduleSpec, ReadonlyMap<string, RunRecord>])[] = [
      [hourly, new Map([['base', recordAt(at('00:01:00'))]])],
      [hourly, new Map()],
      [often, new Map([['base', recordAt(at('00:10:00') - 5 * HOUR)]])],
    ];
    for (const [spec, records] of cases) {
      const { schedules } = stage({ records, start: at('00:10:30') });
      schedules.configure([spec], { isPaused: false });
      const next = spec === hourly ? at('01:00:00') : at('00:15:00');
      assert.equal(schedules.list()[0]?.nextAt, next + spread, spec.schedule);
    }
  });

  test('is gone on with where the server stopped or died during it, and not where an operator stopped it', () => {
    const startedAt = at('00:05:00');
    const { endedAt: _endedAt, outcome: _outcome, ...died } = recordAt(startedAt);
    const cases: readonly (readonly [RunRecord, number])[] = [
      [died, START + spread],
      [recordAt(startedAt, { outcome: 'interrupted' }), START + spread],
      [recordAt(startedAt, { outcome: 'stopped' }), at('01:00:00') + spread],
    ];
    for (const [record, expected] of cases) {
      const { schedules } = stage({ records: new Map([['base', record]]) });
      schedules.configure([hourly], { isPaused: false });
      assert.equal(schedules.list()[0]?.nextAt, expected, record.outcome ?? 'it died');
    }
  });

  test('is not made up for by a reload', () => {
    const { schedules } = stage({ records: new Map([['base', recordAt(START - 24 * HOUR)]]) });
    schedules.configure([{ ...hourly, name: 'other' }], { isPaused: false });
    schedules.configure([hourly], { isPaused: false });
    assert.equal(schedules.list()[0]?.nextAt, at('01:00:00') + spread);
  });
});

describe('the clock', () => {
  test('that is set back does not hold a schedule, and one that is set forward is followed', async () => {
    const { clock, schedules, begun, last } = stage();
    schedules.configure([hourly], { isPaused: false });
    clock.set(START - 48 * HOUR);
    await clock.to(clock.now() + 61_000);
    await clock.to(START - 47 * HOUR);
    assert.equal(begun.length, 1);
    await last().end();
    clock.set(START + 48 * HOUR);
    await clock.to(clock.now() + 61_000);
    assert.equal(begun.length, 2);
  });
});

describe('a reload', () => {
  test('takes up other schedules: what runs goes on, what is removed is forgotten', async () => {
    const { clock, schedules, begun, saved, ended } = stage();
    schedules.configure([hourly, { ...hourly, name: 'other' }], { isPaused: false });
    schedules.run('base', 'alice');
    schedules.configure([{ ...often, images: ['nginx:1.28'] }], { isPaused: false });
    const [state] = schedules.list();
    assert.deepEqual([state?.spec.images, state?.running?.job], [['nginx:1.28'], 'job-1']);
    assert.equal(state?.nextAt, at('00:15:00') + spread);
    schedules.configure([], { isPaused: false });
    await begun[0]?.end();
    assert.deepEqual([schedules.list(), clock.timers(), ended.length], [[], 0, 1]);
    assert.deepEqual([...saved.records.keys()].includes('other'), false);
  });
});

describe('a stop', () => {
  test('cancels what runs, records that, and begins nothing any more', async () => {
    const { clock, schedules, begun, saved } = stage();
    schedules.configure([hourly], { isPaused: false });
    schedules.run('base', 'alice');
    await schedules.close();
    assert.equal(saved.records.get('base')?.outcome, 'interrupted');
    schedules.configure([hourly], { isPaused: false });
    await clock.to(at('09:00:00'));
    assert.deepEqual([begun.length, clock.timers()], [1, 0]);
  });

  test('does not wait for a disk that refuses; it is said once', async () => {
    const { schedules, last, saved, warnings } = stage();
    saved.fault = new Error('the disk is full');
    schedules.configure([hourly], { isPaused: false });
    for (let run = 0; run < 3; run += 1) {
      schedules.run('base', 'alice');
      await last().end();
    }
    await schedules.close();
    assert.equal(warnings.length, 1);
  });
});
