import { Lru } from '../../lib/index.ts';

/** A client that asks again after this many others did is taken for a new one. */
const CLIENTS_REMEMBERED = 10_000;

export interface RateLimitOptions {
  /** Tokens that come in a second. */
  readonly perSecond: number;
  /** Tokens that may be saved up. */
  readonly burst: number;
}

interface Bucket {
  /** Below 0 where more was spent than there was. */
  tokens: number;
  /** Milliseconds of the monotonic clock. */
  at: number;
}

/** A bucket of tokens for each client: they go with what it takes, and come back at a steady rate. */
export class RateLimit {
  readonly #options: RateLimitOptions;
  readonly #buckets = new Lru<Bucket>({ maxWeight: CLIENTS_REMEMBERED });

  constructor(options: RateLimitOptions) {
    this.#options = options;
  }

  /** Takes a token. @returns 0, or the milliseconds until there is one */
  take(client: string, now = performance.now()): number {
    const bucket = this.#bucketOf(client, now);
    if (bucket.tokens < 1) return ((1 - bucket.tokens) / this.#options.perSecond) * 1000;
    bucket.tokens -= 1;
    return 0;
  }

  /** Takes tokens whether they are there or not. @returns the milliseconds until they would have been */
  spend(client: string, tokens: number, now = performance.now()): number {
    const bucket = this.#bucketOf(client, now);
    bucket.tokens -= tokens;
    return bucket.tokens >= 0 ? 0 : (-bucket.tokens / this.#options.perSecond) * 1000;
  }

  #bucketOf(client: string, now: number): Bucket {
    const { perSecond, burst } = this.#options;
    const known = this.#buckets.get(client);
    if (known === undefined) {
      const bucket = { tokens: burst, at: now };
      this.#buckets.set(client, bucket);
      return bucket;
    }
    known.tokens = Math.min(burst, known.tokens + ((now - known.at) / 1000) * perSecond);
    known.at = now;
    return known;
  }
}
