import { Lru } from '../../lib/index.ts';
import { isCurrent } from '../time-span.ts';
import { LONGEST_DELAY } from './back-off.ts';

/** Milliseconds that a registry stays listed: longer than the longest back-off, so that the next question renews it. */
const LISTED_FOR = LONGEST_DELAY + 60_000;

/** Registries remembered. */
const REMEMBERED = 1000;

/**
 * Lists the registries that did not answer in time. While a registry is listed, stale tags are served at once and
 * revalidated in the background, so an outage delays one request, not every tag.
 */
export class UnresponsiveRegistries {
  readonly #since = new Lru<number>({ maxWeight: REMEMBERED });
  readonly #now: () => number;

  constructor(now: () => number = Date.now) {
    this.#now = now;
  }

  /** The registry has not answered within the time that a request waits. */
  markUnresponsive(registry: string): void {
    this.#since.set(registry, this.#now());
  }

  /** The registry has answered, whatever it said. */
  markResponsive(registry: string): void {
    this.#since.delete(registry);
  }

  has(registry: string): boolean {
    const since = this.#since.get(registry);
    return since !== undefined && isCurrent({ since, until: since + LISTED_FOR }, this.#now());
  }

  clear(): void {
    this.#since.clear();
  }
}
