import { Counter, Gauge } from './counters.ts';
import type { Events, Telemetry } from './events.ts';

export interface ScheduleReadings {
  /** The configured schedules. */
  readonly schedules?: () => Promise<readonly ScheduleReading[]>;
}

/** A schedule as it is now. */
export interface ScheduleReading {
  /** It tells of no image. */
  readonly label: string;
  readonly kind: Events['schedule.ended']['kind'];
  /** Whether the last run that was neither stopped nor interrupted failed. */
  readonly failing: boolean;
  /** Milliseconds since 1970; undefined until a run has ended. */
  readonly lastAt: number | undefined;
  /** Milliseconds since 1970; undefined while it does not run by itself. */
  readonly nextAt: number | undefined;
}

type ScheduleCounters = ReturnType<typeof createScheduleCounters>;

const LABELS = ['schedule', 'kind'] as const;

/** The metrics of schedules, except gauges whose reader is not among the options. */
export function createScheduleCounters({ schedules }: ScheduleReadings) {
  const gauges = schedules && {
    scheduleFailing: new Gauge({
      name: 'entrepot_schedule_failing',
      help: '1 if the last run of a schedule failed, of those that were neither stopped nor interrupted; else 0.',
      labels: LABELS,
      read: readEach(schedules, ({ failing }) => (failing ? 1 : 0)),
    }),
    scheduleLast: new Gauge({
      name: 'entrepot_schedule_last_run_timestamp_seconds',
      help: 'When the last run of a schedule ended; absent until one has.',
      labels: LABELS,
      read: readEach(schedules, ({ lastAt }) => secondsOf(lastAt)),
    }),
    scheduleNext: new Gauge({
      name: 'entrepot_schedule_next_run_timestamp_seconds',
      help: 'When a schedule runs next by itself; absent while it does not, as the server is offline.',
      labels: LABELS,
      read: readEach(schedules, ({ nextAt }) => secondsOf(nextAt)),
    }),
  };
  return {
    scheduleRuns: new Counter({
      name: 'entrepot_schedule_runs_total',
      help: 'Runs of schedules that ended, by outcome: done, failed, stopped (by an operator), interrupted (by a stop of the server).',
      labels: [...LABELS, 'outcome'],
    }),
    ...gauges,
  };
}

function readEach(
  schedules: NonNullable<ScheduleReadings['schedules']>,
  read: (reading: ScheduleReading) => number | undefined,
) {
  return async () =>
    (await schedules()).flatMap((each) => {
      const value = read(each);
      return value === undefined ? [] : [{ values: [each.label, each.kind], value }];
    });
}

function secondsOf(milliseconds: number | undefined): number | undefined {
  return milliseconds === undefined ? undefined : milliseconds / 1000;
}

export function countSchedules(telemetry: Telemetry, { scheduleRuns }: ScheduleCounters): () => void {
  return telemetry.on('schedule.ended', ({ label, kind, outcome }) => scheduleRuns.add(1, label, kind, outcome));
}
