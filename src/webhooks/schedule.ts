/* When a delivery is tried again: everything here is pure. Times are milliseconds. */

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;

/** Attempts for a delivery. The nine pauses between them add up to six hours: 15 s, 45 s, 2¼ min, … then 1½ h each. */
export const MAX_ATTEMPTS = 10;

/** A delivery that is older is given up: attempts take turns, and many that wait for a dead receiver would wait for days. */
export const MAX_AGE = 24 * HOUR;

const FIRST_DELAY = 15 * SECOND;
const FACTOR = 3;
const LONGEST_DELAY = 90 * MINUTE;

/** The longest that a receiver can ask for by `Retry-After`. */
export const LONGEST_RETRY_AFTER = HOUR;

const FIRST_PAUSE = SECOND;
const LONGEST_PAUSE = MINUTE;

/** When failing deliveries are tried again; a test gives its own. */
export interface RetryPolicy {
  /** Milliseconds before the next attempt of a delivery that failed so many times; undefined: it is given up. */
  readonly delayAfter: (attempts: number) => number | undefined;
  /** Milliseconds in which a receiver that failed so many times in a row is sent nothing at all. */
  readonly pauseAfter: (failures: number) => number;
}

/** @param random from 0 to 1 */
export function retryPolicy(random: () => number = Math.random): RetryPolicy {
  // A fifth more or less, so that what failed together is not tried again together.
  const jitter = (delay: number): number => Math.round(delay * (0.8 + 0.4 * random()));
  return {
    delayAfter: (attempts) =>
      attempts >= MAX_ATTEMPTS
        ? undefined
        : jitter(Math.min(FIRST_DELAY * FACTOR ** (Math.max(1, attempts) - 1), LONGEST_DELAY)),
    pauseAfter: (failures) =>
      failures <= 0 ? 0 : jitter(Math.min(FIRST_PAUSE * 2 ** (Math.min(failures, 30) - 1), LONGEST_PAUSE)),
  };
}
