/** A span of time, in milliseconds since the epoch. */
export interface TimeSpan {
  readonly since: number;
  /** Exclusive. */
  readonly until: number;
}

/**
 * True while a span runs. It also ends when the clock is set back to before its start: otherwise a clock that was wrong by
 * a day would keep a stale answer, or a failure, for a day.
 */
export function isCurrent({ since, until }: TimeSpan, now: number): boolean {
  return since <= now && now < until;
}
