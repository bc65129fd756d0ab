import { Lru } from '../../lib/index.ts';
import type { HttpClientOptions } from '../http-types.ts';

interface FragmentLadderOptions extends Required<Pick<HttpClientOptions, 'firstFragmentLen' | 'allowPlainFallback'>> {
  /** Milliseconds since any fixed moment. @default the clock */
  readonly now?: () => number;
}

/** Ten minutes: middleboxes change with the network, and starting from the first length costs one failed handshake. */
const TTL = 10 * 60_000;
const HOSTS = 1024;

/**
 * The lengths of the first fragment to try for a host, each after a cut handshake: the configured one, then 1, then 0. The
 * next connection begins with the length that last worked.
 */
export class FragmentLadder {
  readonly #steps: readonly number[];
  readonly #now: () => number;
  readonly #worked = new Lru<{ readonly length: number; readonly until: number }>({ maxWeight: HOSTS });

  constructor({ firstFragmentLen, allowPlainFallback, now = Date.now }: FragmentLadderOptions) {
    const steps = firstFragmentLen === 0 ? [0] : [firstFragmentLen, 1, 0];
    this.#steps = [...new Set(steps)].filter((step) => step > 0 || firstFragmentLen === 0 || allowPlainFallback);
    this.#now = now;
  }

  /** The lengths to try, in order. Never empty. */
  stepsFor(host: string): readonly number[] {
    const known = this.#worked.get(host);
    if (known === undefined || known.until <= this.#now()) return this.#steps;
    return this.#steps.slice(this.#steps.indexOf(known.length));
  }

  worked(host: string, length: number): void {
    // Success does not extend the time: after it, the longer fragment gets another chance.
    if (length === this.#steps[0] || this.stepsFor(host)[0] === length) return;
    this.#worked.set(host, { length, until: this.#now() + TTL });
  }

  /** No length worked: the host starts from the first one again. */
  failed(host: string): void {
    this.#worked.delete(host);
  }
}
