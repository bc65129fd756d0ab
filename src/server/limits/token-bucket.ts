import { Lru } from '../../lib/index.ts';

/** Clients with a bucket at a time; the least recently used one is dropped, and starts with a full bucket again. */
const MAX_BUCKETS = 10_000;

interface TokenBucketOptions {
  /** Tokens added per second. */
  readonly perSecond: number;
  /** Tokens that a bucket holds. */
  readonly burst: number;
}

interface Bucket {
  /** Negative where more was spent than the bucket held. */
  tokens: number;
  /** Milliseconds of the monotonic clock. */
  at: number;
}

/** A token bucket for each client: requests or bytes take tokens out, and they return at a steady rate. */
export class TokenBuckets {
  readonly #options: TokenBucketOptions;
  readonly #buckets = new Lru<Bucket>({ maxWeight: MAX_BUCKETS });

  constructor(options: TokenBucketOptions) {
    this.#options = options;
  }

  /** Takes a token. @returns 0, or the milliseconds until the bucket has one */
  take(client: string, now = performance.now()): number {
    const bucket = this.#bucketOf(client, now);
    if (bucket.tokens < 1) return ((1 - bucket.tokens) / this.#options.perSecond) * 1000;
    bucket.tokens -= 1;
    return 0;
  }

  /** Takes tokens even where the bucket has too few. @returns the milliseconds until it would have had them */
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
