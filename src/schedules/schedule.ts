import type { Recurrence } from './times.ts';

/** What is to be done, and when. What more there is to know of it, those know who begin it. */
export interface ScheduleSpec {
  /** Unique. */
  readonly name: string;
  /** What those may read who see none of its images, as in metrics: `name` may be that of an image. */
  readonly label: string;
  /** As events tell it. */
  readonly kind: 'warm' | 'copy';
  /** As it is written. */
  readonly schedule: string;
  readonly recurrence: Recurrence;
  /** They are counted as failed where a run cannot begin. */
  readonly images: readonly unknown[];
}

/**
 * How a run ended. `failed`: an image failed at least. `stopped`: it was cancelled. `interrupted`: the server stopped, and goes on
 * with the next start where the schedule is hourly or slower.
 */
export type RunOutcome = 'done' | 'failed' | 'stopped' | 'interrupted';

export interface RunError {
  /** Empty where it is about all of them. */
  readonly image: string;
  readonly error: string;
}

/** The last run of a schedule. Times are milliseconds since 1970. */
export interface RunRecord {
  readonly startedAt: number;
  /** Absent while it runs, and where the process ended during it. */
  readonly endedAt?: number;
  readonly outcome?: RunOutcome;
  /** `schedule`, or who started it. */
  readonly by: string;
  /** Images. */
  readonly done: number;
  readonly failed: number;
  /** Bytes that were fetched into the cache. */
  readonly fetched: number;
  /** Bytes that were sent to destinations; of a copy alone. */
  readonly sent?: number;
  /** The first few. */
  readonly errors: readonly RunError[];
  /** Whether the last run that was neither stopped nor interrupted failed: the next one that does not has recovered. */
  readonly failing: boolean;
}

/** A schedule as it is now. */
export interface ScheduleState<Spec extends ScheduleSpec = ScheduleSpec> {
  readonly spec: Spec;
  /** Milliseconds since 1970. Undefined where it does not run by itself now. */
  readonly nextAt: number | undefined;
  /** The run that runs, and what it is called where the work is done; without `job` it has no name there yet. */
  readonly running: { readonly startedAt: number; readonly by: string; readonly job?: string } | undefined;
  /** The last run that has ended. */
  readonly last: RunRecord | undefined;
  /** As {@link RunRecord.failing}. */
  readonly failing: boolean;
}
