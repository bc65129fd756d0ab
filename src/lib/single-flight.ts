/**
 * Runs one operation per key at a time: whoever asks while it runs gets its result, error included.
 *
 * The operation belongs to nobody who waits for it, so it must not take the signal of one caller.
 */
export class SingleFlight<T> {
  readonly #running = new Map<string, Promise<T>>();

  /** How many operations run now. */
  get size(): number {
    return this.#running.size;
  }

  has(key: string): boolean {
    return this.#running.has(key);
  }

  run(key: string, operation: () => Promise<T>): Promise<T> {
    const running = this.#running.get(key);
    if (running !== undefined) return running;
    const started = operation().finally(() => this.#running.delete(key));
    this.#running.set(key, started);
    return started;
  }
}

/** Joins the parts of a key so that no two different lists give one key (`["a","bc"]` and `["ab","c"]` differ). */
export function keyOf(...parts: readonly string[]): string {
  return JSON.stringify(parts);
}
