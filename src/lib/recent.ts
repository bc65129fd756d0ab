import { Lru } from './lru.ts';

interface RecentOptions {
  /** Keys that are kept; the least recently used one is dropped for another. */
  readonly most: number;
  /** Milliseconds that a key is kept after it was added. */
  readonly lasts: number;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
}

/**
 * What happened not long ago, by keys, and when. A key is also forgotten when the clock is set back to before it was added:
 * otherwise a clock that was wrong by a day would keep it for a day.
 */
export class Recent {
  readonly #since: Lru<number>;
  readonly #lasts: number;
  readonly #now: () => number;

  constructor({ most, lasts, now }: RecentOptions) {
    this.#since = new Lru({ maxWeight: most });
    this.#lasts = lasts;
    this.#now = now;
  }

  add(key: string): void {
    this.#since.set(key, this.#now());
  }

  /** When the key was last added, in milliseconds since the epoch; undefined where that is long ago or never was. */
  since(key: string): number | undefined {
    const since = this.#since.get(key);
    const age = since === undefined ? Number.NaN : this.#now() - since;
    return age >= 0 && age < this.#lasts ? since : undefined;
  }

  has(key: string): boolean {
    return this.since(key) !== undefined;
  }

  delete(key: string): void {
    this.#since.delete(key);
  }

  clear(): void {
    this.#since.clear();
  }
}
