import { Lru } from '../../lib/index.ts';
import { isCurrent, type TimeSpan } from '../time-span.ts';

/** Most names that are remembered: a client can ask for any number of names that do not exist. */
const REMEMBERED = 10_000;

interface NegativeCacheOptions {
  /** Milliseconds that a "not found" is remembered; 0: not at all. @default 10_000 */
  readonly notFoundFor?: number | (() => number) | undefined;
  readonly now?: (() => number) | undefined;
}

/** Remembers briefly what upstreams do not have, so that a client that retries in a loop does not reach them. */
export class NegativeCache {
  readonly #answers = new Lru<TimeSpan & { readonly error: unknown }>({ maxWeight: REMEMBERED });
  readonly #notFoundFor: () => number;
  readonly #now: () => number;

  constructor({ notFoundFor = 10_000, now = Date.now }: NegativeCacheOptions = {}) {
    this.#notFoundFor = typeof notFoundFor === 'number' ? () => notFoundFor : notFoundFor;
    this.#now = now;
  }

  /** @param error thrown to later requests for the same key */
  note(key: string, error: unknown): void {
    const since = this.#now();
    const notFoundFor = this.#notFoundFor();
    if (notFoundFor > 0) this.#answers.set(key, { error, since, until: since + notFoundFor });
  }

  /** Throws the error of the upstream while it is remembered. */
  assertNotMissing(key: string): void {
    const answer = this.#answers.get(key);
    if (answer === undefined) return;
    if (isCurrent(answer, this.#now())) throw answer.error;
    this.#answers.delete(key);
  }

  forget(key: string): void {
    this.#answers.delete(key);
  }

  clear(): void {
    this.#answers.clear();
  }
}
