import { AsyncLocalStorage } from 'node:async_hooks';

/**
 * The one of several that counts, which may be replaced at any moment: by one assignment, so that nobody ever sees a mixture.
 *
 * Whoever began under one goes on under it: what runs {@link within} keeps what was current then, with everything that
 * comes of it, transfers included.
 */
export class CurrentGeneration<T> {
  readonly #scope = new AsyncLocalStorage<T>();
  #current: T;

  constructor(first: T) {
    this.#current = first;
  }

  /** For what begins now. */
  get current(): T {
    return this.#current;
  }

  /** For what runs: the one it began under. What nobody asked for (a timer of the server's own) has the current one. */
  get here(): T {
    return this.#scope.getStore() ?? this.#current;
  }

  replace(next: T): void {
    this.#current = next;
  }

  /** Runs something to which {@link here} is what is current now. */
  within<R>(run: (current: T) => R): R {
    const current = this.#current;
    return this.#scope.run(current, run, current);
  }
}
