import { Lru } from '../../lib/index.ts';
import { LONGEST_DELAY } from './back-off.ts';

/** Milliseconds in which a registry counts as silent: longer than any of its tags is left alone, so that each look renews it. */
const SILENT_FOR = LONGEST_DELAY + 60_000;

/** Registries remembered. */
const REMEMBERED = 1000;

/**
 * Remembers which registries kept a client waiting for nothing, so that an outage costs its wait once, and not once for each
 * tag and each look for its end: until the registry speaks again, it is asked behind what is here.
 */
export class UnresponsiveRegistries {
  readonly #since = new Lru<number>({ maxWeight: REMEMBERED });
  readonly #now: () => number;

  constructor(now: () => number = Date.now) {
    this.#now = now;
  }

  /** The registry has not answered for as long as anybody is made to wait. */
  begun(registry: string): void {
    this.#since.set(registry, this.#now());
  }

  /** The registry has answered, whatever it said. */
  broken(registry: string): void {
    this.#since.delete(registry);
  }

  /** A clock that was set back ends it. */
  has(registry: string): boolean {
    const since = this.#since.get(registry);
    if (since === undefined) return false;
    const now = this.#now();
    return now >= since && now < since + SILENT_FOR;
  }

  clear(): void {
    this.#since.clear();
  }
}
