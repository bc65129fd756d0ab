import { Lru } from '../../lib/index.ts';
import { isOriginFailure } from '../../oci/index.ts';
import { isCurrent, type TimeSpan } from '../time-span.ts';

/** Milliseconds that a record is not asked for after a failure, the first time and at the most. */
const FIRST_DELAY = 5000;
export const LONGEST_DELAY = 300_000;

/** Records remembered. For a forgotten record the origin is asked again. */
const REMEMBERED = 10_000;

/**
 * Milliseconds until the origin is asked for the same record again: what its `Retry-After` says, otherwise 5 s, doubling
 * with each failure; both at most 5 min.
 *
 * @param failures in a row, at least 1
 * @param retryAfter seconds
 */
export function backOffDelay(failures: number, retryAfter: number | undefined): number {
  if (retryAfter !== undefined) return Math.min(retryAfter * 1000, LONGEST_DELAY);
  return Math.min(FIRST_DELAY * 2 ** (failures - 1), LONGEST_DELAY);
}

/** The last question about a record, which failed. It is not repeated until `until`. */
export interface Failure extends TimeSpan {
  readonly error: Error;
  /** See OriginFailed. */
  readonly isRefusal: boolean;
  readonly failures: number;
}

/** Remembers which records could not be revalidated, so that an origin that is down or throttles is not asked for each request. */
export class BackOff {
  readonly #failures = new Lru<Failure>({ maxWeight: REMEMBERED });
  readonly #now: () => number;

  constructor(now: () => number = Date.now) {
    this.#now = now;
  }

  /** Undefined where the last question was answered, or there was none. */
  get(key: string): Failure | undefined {
    return this.#failures.get(key);
  }

  /** True while the origin is not asked. After a refusal every request asks the origin: only the origin can lift it. */
  isBackingOff(failure: Failure): boolean {
    return !failure.isRefusal && isCurrent(failure, this.#now());
  }

  /** @param isRefusal see {@link Failure} */
  failed(key: string, error: Error, { isRefusal }: { readonly isRefusal: boolean }): void {
    const failures = (this.#failures.get(key)?.failures ?? 0) + 1;
    const since = this.#now();
    const delay = backOffDelay(failures, isOriginFailure(error) ? error.retryAfter : undefined);
    this.#failures.set(key, { error, isRefusal, failures, since, until: since + delay });
  }

  answered(key: string): void {
    this.#failures.delete(key);
  }

  clear(): void {
    this.#failures.clear();
  }
}
