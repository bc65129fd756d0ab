import { hash, randomBytes, timingSafeEqual } from 'node:crypto';
import type { Principal } from '../../access/index.ts';

/** Milliseconds without a sign of a person. */
const IDLE = 30 * 60_000;
/** Milliseconds, whatever a person does. */
const LIFETIME = 12 * 3_600_000;
const MAX_SESSIONS = 1000;
const MAX_OF_PRINCIPAL = 20;

/** A session that holds. */
export interface Session {
  readonly principal: Principal;
  /** Stands for the secret by which the principal logged in; another one ends the session. */
  readonly version: string | undefined;
  /** What a change must show besides the cookie. */
  readonly token: string;
  /** Aborts when the session ends, for what lasts longer than a request. */
  readonly ended: AbortSignal;
}

interface Kept extends Session {
  readonly key: string;
  readonly end: AbortController;
  readonly createdAt: number;
  usedAt: number;
}

interface SessionsOptions {
  /** Milliseconds. @default Date.now */
  readonly now?: () => number;
}

/**
 * Sessions, in memory: a restart ends them all, a reload none. Their ids are kept as hashes, so a dump of the memory of this server begins
 * no session. A new one takes the place of the one of its principal that was unused for longest, and of all where there are too many.
 */
export class Sessions {
  readonly #now: () => number;
  /** By the hash of their id, the one unused for longest first. */
  readonly #sessions = new Map<string, Kept>();

  constructor({ now = Date.now }: SessionsOptions = {}) {
    this.#now = now;
  }

  get size(): number {
    return this.#sessions.size;
  }

  /** @returns the id, for the cookie alone, and the session */
  begin({ principal, version }: Pick<Session, 'principal' | 'version'>): {
    readonly id: string;
    readonly session: Session;
  } {
    this.#expire();
    const own = [...this.#sessions.values()].filter((each) => isSame(each.principal, principal));
    const [oldest] = own.length >= MAX_OF_PRINCIPAL ? own : [...this.#sessions.values()];
    if (oldest !== undefined && (own.length >= MAX_OF_PRINCIPAL || this.#sessions.size >= MAX_SESSIONS))
      this.#drop(oldest);
    const id = randomBytes(32).toString('base64url');
    const end = new AbortController();
    const now = this.#now();
    const token = randomBytes(32).toString('base64url');
    const kept: Kept = {
      key: keyOf(id),
      principal,
      version,
      token,
      createdAt: now,
      usedAt: now,
      end,
      ended: end.signal,
    };
    this.#sessions.set(kept.key, kept);
    return { id, session: kept };
  }

  /**
   * The session of an id, while it holds.
   *
   * @param isActive whether a person did something: only then the session lasts longer
   */
  find(id: string, { isActive }: { readonly isActive: boolean }): Session | undefined {
    const kept = this.#sessions.get(keyOf(id));
    if (kept === undefined) return undefined;
    if (this.#now() >= this.#expiryOf(kept)) {
      this.#drop(kept);
      return undefined;
    }
    if (isActive) {
      kept.usedAt = this.#now();
      this.#sessions.delete(kept.key);
      this.#sessions.set(kept.key, kept);
    }
    return kept;
  }

  /** Milliseconds since 1970. */
  expiryOf(session: Session): number {
    const kept = this.#keptOf(session);
    return kept === undefined ? this.#now() : this.#expiryOf(kept);
  }

  /** Whether a session has not ended. */
  isKept(session: Session): boolean {
    const kept = this.#keptOf(session);
    return kept !== undefined && this.#now() < this.#expiryOf(kept);
  }

  end(session: Session): void {
    const kept = this.#keptOf(session);
    if (kept !== undefined) this.#drop(kept);
  }

  close(): void {
    for (const kept of this.#sessions.values()) this.#drop(kept);
  }

  #keptOf(session: Session): Kept | undefined {
    const { key } = session as Kept;
    return this.#sessions.get(key);
  }

  #expiryOf({ usedAt, createdAt }: Kept): number {
    return Math.min(usedAt + IDLE, createdAt + LIFETIME);
  }

  #expire(): void {
    for (const kept of this.#sessions.values()) if (this.#now() >= this.#expiryOf(kept)) this.#drop(kept);
  }

  #drop(kept: Kept): void {
    this.#sessions.delete(kept.key);
    kept.end.abort();
  }
}

function isSame(one: Principal, other: Principal): boolean {
  return one.kind === other.kind && ('name' in one ? one.name : '') === ('name' in other ? other.name : '');
}

/** Whether a request shows the token of a session; takes as long for any text. */
export function isTokenOf({ token }: Session, shown: string | undefined): boolean {
  if (shown === undefined) return false;
  return timingSafeEqual(digestOf(shown), digestOf(token));
}

function digestOf(text: string): Buffer {
  return hash('sha256', text, 'buffer');
}

function keyOf(id: string): string {
  return hash('sha256', id, 'base64url');
}
