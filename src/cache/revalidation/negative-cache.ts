import { Lru } from '../../lib/index.ts';

/** Names remembered. Anybody can ask for what is not there, so that their number must have an end. */
const REMEMBERED = 10_000;

export interface NotFoundOptions {
  /** Milliseconds that a "not found" is believed; 0: none is remembered. @default 10_000 */
  readonly notFoundFor?: number | (() => number) | undefined;
  readonly now?: (() => number) | undefined;
}

/** Remembers briefly what upstreams said they do not have, so that a client that asks again and again does not ask them. */
export class NegativeCache {
  readonly #answers = new Lru<{ readonly error: unknown; readonly until: number; readonly since: number }>({
    maxWeight: REMEMBERED,
  });
  readonly #notFoundFor: () => number;
  readonly #now: () => number;

  constructor({ notFoundFor = 10_000, now = Date.now }: NotFoundOptions = {}) {
    this.#notFoundFor = typeof notFoundFor === 'number' ? () => notFoundFor : notFoundFor;
    this.#now = now;
  }

  /** @param error what is thrown to whoever asks meanwhile */
  note(key: string, error: unknown): void {
    const since = this.#now();
    const notFoundFor = this.#notFoundFor();
    if (notFoundFor > 0) this.#answers.set(key, { error, since, until: since + notFoundFor });
  }

  /** Throws what the upstream said, while that is believed. */
  assertNotMissing(key: string): void {
    const answer = this.#answers.get(key);
    if (answer === undefined) return;
    const now = this.#now();
    // Also where the clock was set back since.
    if (now >= answer.since && now < answer.until) throw answer.error;
    this.#answers.delete(key);
  }

  forget(key: string): void {
    this.#answers.delete(key);
  }

  clear(): void {
    this.#answers.clear();
  }
}
