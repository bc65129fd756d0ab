import { abortable, Lru, SingleFlight } from '../../lib/index.ts';
import type { GrantedToken } from './token-request.ts';

/** A token and when it was granted, in milliseconds of the cache's clock. */
export interface CachedToken {
  readonly token: string;
  readonly grantedAt: number;
  readonly private: boolean;
}

interface Entry extends CachedToken {
  /** From here on a new one is fetched beside. */
  readonly refreshAt: number;
  /** From here on it is not sent any more. */
  readonly staleAt: number;
}

/** Fetches a token; says whether a credential was needed for it. */
export type FetchToken = () => Promise<GrantedToken & { readonly private: boolean }>;

const MAX_TOKENS = 1000;

/**
 * The tokens of one upstream, by what they are for.
 *
 * Whoever needs a token that is not there waits for one fetch, however many they are. A token past four fifths of its
 * life is renewed beside the request that used it, so that nobody waits for a token that was expected to expire; in its
 * last tenth (10 s at most) it is not used, since it must still hold when the request arrives.
 */
export class TokenCache {
  readonly #now: () => number;
  readonly #entries = new Lru<Entry>({ maxWeight: MAX_TOKENS });
  readonly #fetching = new SingleFlight<Entry>();

  constructor(now: () => number) {
    this.#now = now;
  }

  /** The token for a key, fetched where there is none that is good. The fetch belongs to no caller and takes no signal. */
  async get(key: string, fetch: FetchToken, signal?: AbortSignal): Promise<CachedToken> {
    const now = this.#now();
    const entry = this.#entries.get(key);
    if (entry === undefined || now >= entry.staleAt) return abortable(this.#renew(key, fetch), signal);
    // Failing is no harm while the old one is good; who needs the new one will hear of it.
    if (now >= entry.refreshAt) void this.#renew(key, fetch).catch(() => undefined);
    return entry;
  }

  /** Drops a token that was refused, unless another has taken its place: of many who were refused, one fetch is made. */
  refuse(key: string, token: string): void {
    if (this.#entries.get(key)?.token === token) this.#entries.delete(key);
  }

  #renew(key: string, fetch: FetchToken): Promise<Entry> {
    return this.#fetching.run(key, async () => {
      // Before the request, so that the time it takes shortens the life instead of lengthening it.
      const grantedAt = this.#now();
      const { token, life, private: isPrivate } = await fetch();
      const refreshAt = grantedAt + life * 0.8;
      const staleAt = grantedAt + life - Math.min(10_000, life / 10);
      const entry = { token, grantedAt, private: isPrivate, refreshAt, staleAt };
      this.#entries.set(key, entry);
      return entry;
    });
  }
}
