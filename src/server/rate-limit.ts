import { Lru } from '../lib/index.ts';

/** A client that asks again after this many others did is taken for a new one. */
const CLIENTS_REMEMBERED = 10_000;

export interface RateLimitOptions {
  /** Tokens that come in a second. */
  readonly perSecond: number;
  /** Tokens that may be saved up. */
  readonly burst: number;
}

interface Bucket {
  readonly tokens: number;
  /** Milliseconds of the monotonic clock. */
  readonly at: number;
}

/** A bucket of tokens for each client: one goes with each request, they come back at a steady rate. */
export class RateLimit {
  readonly #options: RateLimitOptions;
  readonly #buckets = new Lru<Bucket>({ maxWeight: CLIENTS_REMEMBERED });

  constructor(options: RateLimitOptions) {
    this.#options = options;
  }

  /** Takes a token. @returns 0, or the milliseconds until there is one */
  take(client: string, now = performance.now()): number {
    const { perSecond, burst } = this.#options;
    const { tokens, at } = this.#buckets.get(client) ?? { tokens: burst, at: now };
    const left = Math.min(burst, tokens + ((now - at) / 1000) * perSecond);
    const taken = left >= 1 ? 1 : 0;
    this.#buckets.set(client, { tokens: left - taken, at: now });
    return taken === 1 ? 0 : ((1 - left) / perSecond) * 1000;
  }
}
