import type { AccessVerdict } from '../../telemetry/index.ts';

/** What one principal did with one repository within one period, or was refused. */
export interface Observation {
  /** The start of its hour; of its day (UTC) once it is older than two days. Milliseconds since the epoch. */
  readonly period: number;
  /** As rules write it: `alice`, `anonymous`. Empty, with `action` and `target`: requests that were not recorded one by one. */
  readonly principal: string;
  readonly action: string;
  /** As rules write it: `registry/repository`, `mirror:NAME/path`. Empty where the action concerns no repository. */
  readonly target: string;
  readonly verdict: AccessVerdict;
  /** Requests. */
  readonly count: number;
  /** The last request; milliseconds since the epoch. */
  readonly lastAt: number;
}

/** An observation without what is counted in it. */
export type ObservationKey = Pick<Observation, 'period' | 'principal' | 'action' | 'target' | 'verdict'>;

export interface ObservationLimits {
  /** Rows in all. */
  readonly rows: number;
  /** Of these, rows of refused requests, which a client without any right can cause. */
  readonly denied: number;
  /** Milliseconds that a row is kept. */
  readonly age: number;
}

export const OBSERVATION_LIMITS: ObservationLimits = { rows: 100_000, denied: 25_000, age: 90 * 86_400_000 };

const HOUR = 3_600_000;
export const DAY = 24 * HOUR;

/** The start of the hour of a time. */
export function hourOf(time: number): number {
  return time - (time % HOUR);
}

/** The start of the day of a time, in UTC. */
export function dayOf(time: number): number {
  return time - (time % DAY);
}

/** How long a row is that of an hour, before it is added to that of its day. */
export const HOURLY_FOR = 2 * DAY;

/**
 * Who did what, by the hour: what rules of access are suggested from. Each operation is a whole. The rows are bounded, and may
 * be lost: nothing depends on them but the suggestion.
 */
export interface ObservationStore {
  /** When this store was begun; milliseconds since the epoch. */
  readonly since: number;
  /**
   * Adds each count to that of its key, and drops the oldest rows beyond the limits. The caller batches: a request must not
   * cost a write.
   */
  add(observations: readonly Observation[]): Promise<void>;
  /** At most `limit` rows after `after`, oldest period first, in a stable order. */
  list(page: { readonly after?: ObservationKey | undefined; readonly limit: number }): Promise<readonly Observation[]>;
  /** Deletes what is too old, and joins the hours of older days. @param now milliseconds since the epoch */
  trim(now: number): Promise<void>;
  close(): Promise<void>;
}
