import { hash, randomBytes } from 'node:crypto';

/** Milliseconds in which a code begins a session. */
const LIFETIME = 60_000;
const MAX_CODES = 100;

interface CodesOptions {
  /** Milliseconds. @default Date.now */
  readonly now?: () => number;
}

/** Codes that begin a session of the operator, each once. */
export class Codes {
  readonly #now: () => number;
  /** Their end by their hash, the oldest first. */
  readonly #expiries = new Map<string, number>();

  constructor({ now = Date.now }: CodesOptions = {}) {
    this.#now = now;
  }

  /** Of too many, the oldest no longer holds. */
  issue(): { readonly code: string; readonly expiresAt: number } {
    const now = this.#now();
    for (const [key, expiresAt] of this.#expiries) {
      if (expiresAt <= now || this.#expiries.size >= MAX_CODES) this.#expiries.delete(key);
    }
    const code = randomBytes(32).toString('base64url');
    const expiresAt = now + LIFETIME;
    this.#expiries.set(keyOf(code), expiresAt);
    return { code, expiresAt };
  }

  /** Whether the code holds. It does not hold again. */
  redeem(code: string): boolean {
    const key = keyOf(code);
    const expiresAt = this.#expiries.get(key);
    this.#expiries.delete(key);
    return expiresAt !== undefined && this.#now() < expiresAt;
  }
}

/** 256 random bits need no slow hash, and looking up a hash tells nothing of what it is compared with. */
function keyOf(code: string): string {
  return hash('sha256', code, 'base64url');
}
