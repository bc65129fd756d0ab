import { hostname } from 'node:os';
import type { Config } from '../config/index.ts';
import type { Schedules, SchedulesOptions } from '../schedules/index.ts';
import type { ScheduleReading, Telemetry } from '../telemetry/index.ts';
import { loadSchedules, type ScheduledWork, scheduledWorkOf } from './settings/index.ts';

type Begin = SchedulesOptions<ScheduledWork>['begin'];

interface SchedulesContext {
  readonly telemetry: Telemetry;
  /** Takes what stops them again. */
  readonly cleanups: (() => unknown)[];
}

/** The schedules of this process, from its first configuration that has one: their room is not loaded before. */
export class ServerSchedules {
  readonly #context: SchedulesContext;
  #config: Config;
  #begin: Begin | undefined;
  #opened: Promise<Schedules<ScheduledWork>> | undefined;
  #taken: Promise<void> = Promise.resolve();
  #isClosed = false;

  /** @param config its cache directory is that of the process */
  constructor(config: Config, context: SchedulesContext) {
    this.#config = config;
    this.#context = context;
  }

  /** They run from now on. Call it once, when the server serves. */
  open(begin: Begin): void {
    this.#begin = begin;
    // After what they begin was opened, and so stopped before it: a run knows that the server stops.
    this.#context.cleanups.push(() => this.#close());
    this.#takeUp();
  }

  /** Takes up `warm` and `copy`. */
  reconfigure(config: Config): void {
    this.#config = config;
    this.#takeUp();
  }

  /** Undefined where none was ever configured. Waits until the configuration in effect is taken up. */
  async read(): Promise<Schedules<ScheduledWork> | undefined> {
    await this.#taken;
    return await this.#opened;
  }

  /** For the metrics. */
  async readings(): Promise<readonly ScheduleReading[]> {
    const states = (await this.read())?.list() ?? [];
    return states.map(({ spec: { label, kind }, failing, last, nextAt }) => {
      return { label, kind, failing, lastAt: last?.endedAt, nextAt };
    });
  }

  #takeUp(): void {
    this.#taken = this.#taken
      .then(() => this.#configure())
      .catch((error: unknown) =>
        this.#context.telemetry.publish('warning', { message: 'Cannot take up the schedules of warm and copy', error }),
      );
  }

  async #configure(): Promise<void> {
    const config = this.#config;
    const begin = this.#begin;
    if (begin === undefined || this.#isClosed) return;
    const work = scheduledWorkOf(config);
    if (work.length === 0 && this.#opened === undefined) return;
    this.#opened ??= this.#open(begin, config);
    const schedules = await this.#opened;
    schedules.configure(work, { isPaused: config.cache === 'off' || config.offline });
  }

  async #open(begin: Begin, { cache }: Config): Promise<Schedules<ScheduledWork>> {
    const { telemetry } = this.#context;
    const { openRecordFile, Schedules, scheduleFile } = await loadSchedules();
    const onDamage = (error: unknown): void =>
      telemetry.publish('warning', { message: 'Cannot read what became of schedules: it begins empty', error });
    const file = cache === 'off' ? undefined : await openRecordFile(scheduleFile(cache.dir), onDamage);
    return new Schedules({ begin, telemetry, file, seed: hostname() });
  }

  async #close(): Promise<void> {
    this.#isClosed = true;
    await (await this.read())?.close();
  }
}
