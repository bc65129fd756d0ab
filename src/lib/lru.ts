interface LruOptions<V> {
  /** The entries together never weigh more; a single heavier entry is not kept. */
  readonly maxWeight: number;
  /** The weight of one entry. @default 1 */
  readonly weigh?: (value: V) => number;
}

/**
 * A map that drops its least recently used entries once they weigh too much.
 *
 * A Map keeps its keys in insertion order, so deleting an entry and setting it again is all the bookkeeping.
 */
export class Lru<V> {
  readonly #entries = new Map<string, V>();
  readonly #maxWeight: number;
  readonly #weigh: (value: V) => number;
  #weight = 0;
  /** The entry that was used last: it is the newest, and asked for again and again where many want the same. */
  #last: { readonly key: string; readonly value: V } | undefined;

  constructor(options: LruOptions<V>) {
    this.#maxWeight = options.maxWeight;
    this.#weigh = options.weigh ?? (() => 1);
  }

  get weight(): number {
    return this.#weight;
  }

  get(key: string): V | undefined {
    // Two texts are compared sooner than one is hashed.
    if (this.#last?.key === key) return this.#last.value;
    const value = this.#entries.get(key);
    if (value === undefined) return undefined;
    this.#entries.delete(key);
    this.#entries.set(key, value);
    this.#last = { key, value };
    return value;
  }

  set(key: string, value: V): void {
    this.delete(key);
    this.#last = undefined;
    const weight = this.#weigh(value);
    if (weight > this.#maxWeight) return;
    this.#entries.set(key, value);
    this.#weight += weight;
    for (const oldest of this.#entries.keys()) {
      if (this.#weight <= this.#maxWeight) break;
      this.delete(oldest);
    }
  }

  /** All entries, least recently used first. Iterating does not count as use. */
  entries(): IterableIterator<[string, V]> {
    return this.#entries.entries();
  }

  clear(): void {
    this.#last = undefined;
    this.#entries.clear();
    this.#weight = 0;
  }

  delete(key: string): boolean {
    const value = this.#entries.get(key);
    if (value === undefined) return false;
    if (this.#last?.key === key) this.#last = undefined;
    this.#weight -= this.#weigh(value);
    return this.#entries.delete(key);
  }
}
