import { Lru } from '../../lib/index.ts';
import { isOriginFailure } from '../../oci/index.ts';

/** How long a tag is left alone after its upstream failed, the first time and at the most; milliseconds. */
const FIRST_DELAY = 5000;
export const LONGEST_DELAY = 300_000;

/** Tags remembered. One that is forgotten is asked for again. */
const REMEMBERED = 10_000;

/**
 * Milliseconds until an upstream is asked for the same tag again: 5 s, doubling to 5 min; what it asked for itself, up to
 * as much, where it said so.
 *
 * @param failures in a row, at least 1
 * @param retryAfter seconds
 */
export function backOffDelay(failures: number, retryAfter: number | undefined): number {
  if (retryAfter !== undefined) return Math.min(retryAfter * 1000, LONGEST_DELAY);
  return Math.min(FIRST_DELAY * 2 ** (failures - 1), LONGEST_DELAY);
}

/** What became of the last question about a tag, where it was no answer. */
export interface Failure {
  readonly error: Error;
  /** The upstream said no, be it to us or to everyone. Then nothing older may be served before it has spoken again. */
  readonly isRefusal: boolean;
  readonly failures: number;
  readonly since: number;
  /** Until then it is not asked again. */
  readonly until: number;
}

/** Remembers which tags could not be confirmed, so that an upstream that is down or throttling is left in peace. */
export class BackOff {
  readonly #troubles = new Lru<Failure>({ maxWeight: REMEMBERED });
  readonly #now: () => number;

  constructor(now: () => number = Date.now) {
    this.#now = now;
  }

  /** Undefined where the last question was answered, or there was none. */
  get(key: string): Failure | undefined {
    return this.#troubles.get(key);
  }

  /** True while a tag in trouble is to be left alone. A clock that was set back ends it. */
  isBackingOff({ isRefusal, since, until }: Failure): boolean {
    const now = this.#now();
    return !isRefusal && now >= since && now < until;
  }

  /** @param isRefusal see {@link Failure} */
  failed(key: string, error: Error, { isRefusal }: { readonly isRefusal: boolean }): void {
    const failures = (this.#troubles.get(key)?.failures ?? 0) + 1;
    const since = this.#now();
    const delay = backOffDelay(failures, isOriginFailure(error) ? error.retryAfter : undefined);
    this.#troubles.set(key, { error, isRefusal, failures, since, until: since + delay });
  }

  answered(key: string): void {
    this.#troubles.delete(key);
  }

  clear(): void {
    this.#troubles.clear();
  }
}
