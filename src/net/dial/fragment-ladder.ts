import { Lru } from '../../lib/index.ts';

export interface FragmentLadderOptions {
  /** The length to begin with; 0 is no fragmentation, and no ladder. */
  readonly firstFragmentLen: number;
  /** Whether the last step may be an ordinary handshake, which shows the server's name. */
  readonly allowPlainFallback: boolean;
  /** Milliseconds since any fixed moment. @default the clock */
  readonly now?: () => number;
}

/** Ten minutes: what stands in the way changes with the network, and starting high again costs one failed handshake. */
const TTL = 10 * 60_000;
const HOSTS = 1024;

/**
 * Which lengths of the first fragment are tried for a host, one after the other where a handshake is cut: what is
 * configured, then 1, then none. A length that worked below the first is where the next connection begins.
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
    // Not extended by success: the time is to find out again whether more is possible.
    if (length === this.#steps[0] || this.stepsFor(host)[0] === length) return;
    this.#worked.set(host, { length, until: this.#now() + TTL });
  }

  /** No step worked: what was known of the host is known no more. */
  failed(host: string): void {
    this.#worked.delete(host);
  }
}
