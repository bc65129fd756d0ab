import { isDeepStrictEqual } from 'node:util';
import type { Telemetry } from '../telemetry/index.ts';
import type { RecordFile } from './record-file.ts';
import type { RunError, RunOutcome, RunRecord, ScheduleSpec, ScheduleState } from './schedule.ts';
import { isHourlyOrSlower, spreadOf, type Times, timesOf } from './times.ts';

/** What a run did. */
export interface WorkResult {
  /** Images. */
  readonly done: number;
  readonly failed: number;
  readonly cancelled: number;
  /** Bytes that were fetched into the cache. */
  readonly fetched: number;
  /** Bytes that were sent to destinations; of a copy alone. */
  readonly sent?: number;
  readonly errors: readonly RunError[];
}

/** A run on its way. */
export interface RunningWork {
  /** What it is called where the work is done. Read again and again: undefined until it has a name there. */
  readonly job: string | undefined;
  readonly ended: Promise<WorkResult>;
  readonly cancel: () => void;
}

export interface SchedulesOptions<Spec extends ScheduleSpec> {
  /** Begins a run. @throws {Error} where it cannot begin */
  readonly begin: (spec: Spec, by: string) => RunningWork;
  readonly telemetry: Telemetry;
  /** Undefined: what became of runs is kept in memory. */
  readonly file: RecordFile | undefined;
  /** Of this server: spreads those that have the same schedules. */
  readonly seed: string;
  /** Milliseconds since 1970. */
  readonly now?: () => number;
  /** Calls once after so many milliseconds; returns what ends that. */
  readonly after?: (milliseconds: number, call: () => void) => () => void;
}

interface Entry<Spec extends ScheduleSpec> {
  readonly spec: Spec;
  readonly times: Times;
  readonly spread: number;
  dueAt: number | undefined;
  running: Run | undefined;
}

interface Run {
  readonly startedAt: number;
  readonly by: string;
  readonly work: RunningWork;
  isInterrupted: boolean;
}

const MAX_ERRORS = 5;
const MAX_TEXT = 500;

/** Timers do not run while a machine sleeps, nor follow a clock that is set: it is looked at once a minute at least. Milliseconds. */
const LONGEST_WAIT = 60_000;

/** The schedules of a running server. */
export class Schedules<Spec extends ScheduleSpec> {
  readonly #options: SchedulesOptions<Spec>;
  readonly #now: () => number;
  readonly #after: NonNullable<SchedulesOptions<Spec>['after']>;
  /** By name, in the order of the configuration. */
  #entries = new Map<string, Entry<Spec>>();
  readonly #records: Map<string, RunRecord>;
  /** Of them and of those before them, what has ended: it is known while the next one runs. */
  readonly #lastEnded: Map<string, RunRecord>;
  /** Runs that have not ended, of removed schedules too. */
  readonly #runs = new Map<Run, Promise<void>>();
  #isPaused = false;
  #isFirst = true;
  #isClosed = false;
  #endTimer: (() => void) | undefined;
  #saving: Promise<void> = Promise.resolve();
  #isSaveDue = false;
  #isSaveRefused = false;

  constructor(options: SchedulesOptions<Spec>) {
    this.#options = options;
    this.#now = options.now ?? Date.now;
    this.#after = options.after ?? startTimer;
    this.#records = new Map(options.file?.records);
    this.#lastEnded = new Map([...this.#records].filter(([, { endedAt }]) => endedAt !== undefined));
  }

  /**
   * Takes up the schedules of a configuration. A run that was missed since the last one is made up for at the first call alone.
   *
   * @param options `isPaused`: none runs by itself
   */
  configure(specs: readonly Spec[], { isPaused }: { readonly isPaused: boolean }): void {
    if (this.#isClosed) return;
    const before = this.#entries;
    this.#isPaused = isPaused;
    this.#entries = new Map(
      specs.map((spec) => {
        const known = before.get(spec.name);
        if (known !== undefined && isDeepStrictEqual(known.spec, spec)) return [spec.name, known];
        const times = timesOf(spec.recurrence);
        const spread = spreadOf(this.#options.seed, spec.name);
        return [spec.name, { spec, times, spread, dueAt: undefined, running: known?.running }];
      }),
    );
    for (const entry of this.#entries.values()) {
      if (isPaused) entry.dueAt = undefined;
      else entry.dueAt ??= this.#isFirst ? this.#firstTime(entry) : this.#nextTime(entry);
    }
    for (const records of [this.#records, this.#lastEnded]) {
      for (const name of records.keys()) if (!this.#entries.has(name)) records.delete(name);
    }
    this.#isFirst = false;
    this.#arm();
  }

  list(): readonly ScheduleState<Spec>[] {
    return [...this.#entries.values()].map((entry) => this.#stateOf(entry));
  }

  /**
   * Begins a run now, where none runs.
   *
   * @returns undefined where there is no such schedule
   * @throws {Error} as {@link SchedulesOptions.begin} does
   */
  run(name: string, by: string): { readonly state: ScheduleState<Spec>; readonly isNew: boolean } | undefined {
    const entry = this.#entries.get(name);
    if (entry === undefined) return undefined;
    const isNew = entry.running === undefined;
    if (isNew) this.#start(entry, by, this.#options.begin(entry.spec, by));
    return { state: this.#stateOf(entry), isNew };
  }

  /** Cancels what runs; resolves when it has ended and is recorded. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#endTimer?.();
    for (const run of this.#runs.keys()) {
      run.isInterrupted = true;
      run.work.cancel();
    }
    await Promise.all(this.#runs.values());
    await this.#saving;
  }

  #stateOf({ spec, dueAt, running }: Entry<Spec>): ScheduleState<Spec> {
    return {
      spec,
      nextAt: dueAt,
      running: running && shownOf(running),
      last: this.#lastEnded.get(spec.name),
      failing: this.#records.get(spec.name)?.failing ?? false,
    };
  }

  #nextTime({ times, spread }: Entry<Spec>): number | undefined {
    const next = times(this.#now());
    return next === undefined ? undefined : next + spread;
  }

  /** A run that was missed while no server ran, or was interrupted, is made up for soon. */
  #firstTime(entry: Entry<Spec>): number | undefined {
    const { spec, times, spread } = entry;
    const now = this.#now();
    const next = this.#nextTime(entry);
    const last = this.#records.get(spec.name);
    if (last === undefined || !isHourlyOrSlower(times, now)) return next;
    const isUnfinished = last.outcome === undefined || last.outcome === 'interrupted';
    const missed = times(last.startedAt);
    const isMissed = missed !== undefined && missed + spread <= now;
    return isUnfinished || isMissed ? Math.min(now + spread, next ?? Number.POSITIVE_INFINITY) : next;
  }

  #arm(): void {
    this.#endTimer?.();
    this.#endTimer = undefined;
    const times = [...this.#entries.values()].flatMap(({ dueAt }) => dueAt ?? []);
    if (this.#isClosed || times.length === 0) return;
    const wait = Math.max(0, Math.min(...times) - this.#now());
    this.#endTimer = this.#after(Math.min(wait, LONGEST_WAIT), () => this.#look());
  }

  #look(): void {
    const now = this.#now();
    for (const entry of this.#entries.values()) {
      const { dueAt } = entry;
      if (dueAt === undefined) continue;
      const next = this.#nextTime(entry);
      if (dueAt > now) {
        // The clock may have been set back.
        if (next !== undefined) entry.dueAt = Math.min(dueAt, next);
        continue;
      }
      entry.dueAt = next;
      // What is due while it runs is left out.
      if (entry.running === undefined && !this.#isPaused) this.#startDue(entry);
    }
    this.#arm();
  }

  #startDue(entry: Entry<Spec>): void {
    try {
      this.#start(entry, 'schedule', this.#options.begin(entry.spec, 'schedule'));
    } catch (error) {
      const startedAt = this.#now();
      const errors = [{ image: '', error: messageOf(error) }];
      this.#ended(entry.spec, {
        run: { startedAt, by: 'schedule' },
        outcome: 'failed',
        result: { done: 0, failed: entry.spec.images.length, cancelled: 0, fetched: 0, errors },
      });
    }
  }

  #start({ spec }: Entry<Spec>, by: string, work: RunningWork): void {
    const run: Run = { startedAt: this.#now(), by, work, isInterrupted: false };
    const { name } = spec;
    const entry = this.#entries.get(name);
    if (entry !== undefined) entry.running = run;
    const failing = this.#records.get(name)?.failing ?? false;
    this.#record(name, { startedAt: run.startedAt, by, done: 0, failed: 0, fetched: 0, errors: [], failing });
    this.#runs.set(run, this.#follow(spec, run));
  }

  /** Never rejects. */
  async #follow(spec: Spec, run: Run): Promise<void> {
    let result: WorkResult;
    try {
      result = await run.work.ended;
    } catch (error) {
      const errors = [{ image: '', error: messageOf(error) }];
      result = { done: 0, failed: spec.images.length, cancelled: 0, fetched: 0, errors };
    }
    this.#runs.delete(run);
    const entry = this.#entries.get(spec.name);
    if (entry?.running === run) entry.running = undefined;
    const ended = result.failed > 0 ? 'failed' : 'done';
    const outcome = result.cancelled === 0 ? ended : run.isInterrupted ? 'interrupted' : 'stopped';
    this.#ended(spec, { run, outcome, result });
  }

  #ended(
    { name, label, kind }: Spec,
    {
      run: { startedAt, by },
      outcome,
      result: { done, failed, fetched, sent, errors },
    }: { readonly run: Pick<Run, 'startedAt' | 'by'>; readonly outcome: RunOutcome; readonly result: WorkResult },
  ): void {
    const wasFailing = this.#records.get(name)?.failing ?? false;
    const isWhole = outcome === 'done' || outcome === 'failed';
    const run = {
      startedAt,
      endedAt: this.#now(),
      outcome,
      by,
      done,
      failed,
      fetched,
      ...(sent !== undefined && { sent }),
      errors: errors
        .slice(0, MAX_ERRORS)
        .map(({ image, error }) => ({ image: image.slice(0, MAX_TEXT), error: error.slice(0, MAX_TEXT) })),
    };
    this.#record(name, { ...run, failing: isWhole ? outcome === 'failed' : wasFailing });
    const recovered = outcome === 'done' && wasFailing;
    this.#options.telemetry.publish('schedule.ended', { schedule: name, label, kind, recovered, ...run });
  }

  #record(name: string, record: RunRecord): void {
    // It was removed meanwhile.
    if (!this.#entries.has(name)) return;
    this.#records.set(name, record);
    if (record.endedAt !== undefined) this.#lastEnded.set(name, record);
    if (this.#isSaveDue || this.#options.file === undefined) return;
    this.#isSaveDue = true;
    this.#saving = this.#saving.then(() => this.#save());
  }

  /** Never rejects. */
  async #save(): Promise<void> {
    this.#isSaveDue = false;
    try {
      await this.#options.file?.save(this.#records);
      this.#isSaveRefused = false;
    } catch (error) {
      const message = 'Cannot save what became of schedules: after a restart, their last runs are not known';
      if (!this.#isSaveRefused) this.#options.telemetry.publish('warning', { message, error });
      this.#isSaveRefused = true;
    }
  }
}

function shownOf({ startedAt, by, work: { job } }: Run): ScheduleState['running'] {
  return { startedAt, by, ...(job !== undefined && { job }) };
}

function startTimer(milliseconds: number, call: () => void): () => void {
  const timer = setTimeout(call, milliseconds).unref();
  return () => clearTimeout(timer);
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
