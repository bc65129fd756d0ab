/** Options of {@link Lru}. */
export interface LruOptions<V> {
  /** The weights of all entries together never exceed this; one entry heavier than it is not kept. */
  readonly maxWeight: number;
  /** What one entry weighs. @default 1 */
  readonly weigh?: (value: V) => number;
}

/**
 * A map that forgets what was used longest ago once it weighs too much.
 *
 * A Map keeps its keys in the order they were set, so taking an entry out and setting it again is all the bookkeeping
 * there is.
 */
export class Lru<V> {
  readonly #entries = new Map<string, V>();
  readonly #maxWeight: number;
  readonly #weigh: (value: V) => number;
  #weight = 0;

  constructor(options: LruOptions<V>) {
    this.#maxWeight = options.maxWeight;
    this.#weigh = options.weigh ?? (() => 1);
  }

  /** The weight of everything kept. */
  get weight(): number {
    return this.#weight;
  }

  get(key: string): V | undefined {
    const value = this.#entries.get(key);
    if (value === undefined) return undefined;
    this.#entries.delete(key);
    this.#entries.set(key, value);
    return value;
  }

  set(key: string, value: V): void {
    this.delete(key);
    const weight = this.#weigh(value);
    if (weight > this.#maxWeight) return;
    this.#entries.set(key, value);
    this.#weight += weight;
    for (const oldest of this.#entries.keys()) {
      if (this.#weight <= this.#maxWeight) break;
      this.delete(oldest);
    }
  }

  /** Everything kept, what was used longest ago first. Looking is no use. */
  entries(): IterableIterator<[string, V]> {
    return this.#entries.entries();
  }

  /** Forgets everything. */
  clear(): void {
    this.#entries.clear();
    this.#weight = 0;
  }

  delete(key: string): boolean {
    const value = this.#entries.get(key);
    if (value === undefined) return false;
    this.#weight -= this.#weigh(value);
    return this.#entries.delete(key);
  }
}
