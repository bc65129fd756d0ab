import { abortable, Lru, SingleFlight } from '../../lib/index.ts';
import type { GrantedToken } from './token-request.ts';

export interface CachedToken {
  readonly token: string;
  /** Milliseconds of the cache's clock. */
  readonly grantedAt: number;
  readonly private: boolean;
}

interface ExpiringToken extends CachedToken {
  /** From then on a new token is fetched in the background. */
  readonly refreshAt: number;
  /** From then on it is not sent. */
  readonly staleAt: number;
}

/** `private`: a credential was sent for the token. */
export type FetchToken = () => Promise<GrantedToken & { readonly private: boolean }>;

const MAX_TOKENS = 1000;

/**
 * The tokens of one upstream, by purpose.
 *
 * Concurrent requests for a missing token share one fetch. After four fifths of its life a token is renewed in the
 * background, so that no request waits for an expiry that was foreseeable; in its last tenth (10 s at most) it is not used,
 * since it must still be valid when the request arrives.
 */
export class TokenCache {
  readonly #now: () => number;
  readonly #entries = new Lru<ExpiringToken>({ maxWeight: MAX_TOKENS });
  readonly #fetching = new SingleFlight<ExpiringToken>();

  constructor(now: () => number) {
    this.#now = now;
  }

  /** The token for a key, fetched where none is valid. A caller's abort does not end the fetch, which others may share. */
  async get(key: string, fetch: FetchToken, signal?: AbortSignal): Promise<CachedToken> {
    const now = this.#now();
    const entry = this.#entries.get(key);
    if (entry === undefined || now >= entry.staleAt) return abortable(this.#renew(key, fetch), signal);
    // A failure does no harm while the old token is valid; the next fetch will report it.
    if (now >= entry.refreshAt) void this.#renew(key, fetch).catch(() => undefined);
    return entry;
  }

  /** Drops a refused token unless it was replaced already: many refused requests make one fetch. */
  refuse(key: string, token: string): void {
    if (this.#entries.get(key)?.token === token) this.#entries.delete(key);
  }

  #renew(key: string, fetch: FetchToken): Promise<ExpiringToken> {
    return this.#fetching.run(key, async () => {
      // Before the request, so that its duration counts against the life.
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
