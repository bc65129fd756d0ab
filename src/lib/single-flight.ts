/**
 * Runs one operation per key at a time: a call made while it runs shares its result, error included.
 *
 * The operation belongs to all its waiters, so it must not take the signal of one of them.
 */
export class SingleFlight<T> {
  readonly #running = new Map<string, Promise<T>>();

  has(key: string): boolean {
    return this.#running.has(key);
  }

  run(key: string, operation: () => Promise<T>): Promise<T> {
    const running = this.#running.get(key);
    if (running !== undefined) return running;
    const started = Promise.try(operation).finally(() => this.#running.delete(key));
    this.#running.set(key, started);
    return started;
  }
}

/** One key for a list of parts; different lists give different keys (`["a","bc"]` and `["ab","c"]`). */
export function keyOf(...parts: readonly string[]): string {
  return JSON.stringify(parts);
}
