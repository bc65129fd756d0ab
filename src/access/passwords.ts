import { createHmac, hash, randomBytes } from 'node:crypto';
import { clientKey, keyOf, Lru, SingleFlight } from '../lib/index.ts';
import { TooManyGuessesError } from './refusal.ts';

const MAX_WAITING = 32;
/** Guesses that fail before a name has to wait, and an address, which many clients may share. */
const FREE_FOR_NAME = 5;
const FREE_FOR_ADDRESS = 20;
/** Failures are forgotten when there was none for this long. */
const FORGOTTEN_AFTER = 10 * 60_000;
const FIRST_WAIT = 1000;
const LONGEST_WAIT = 60_000;
const REMEMBERED_KEPT = 1024;
/** Stands for a user who is not there. */
const NO_VERSION = '';
const WATCHED_KEPT = 10_000;

interface PasswordsOptions {
  /** Compares with no password at all: the answer for an unknown user takes as long as for a known one. Asked at each use. */
  readonly none: () => Pick<StoredPassword, 'compare'>;
  /** Milliseconds. @default Date.now */
  readonly now?: () => number;
}

/** What a password is compared with. */
export interface StoredPassword {
  /** Changes with the password. */
  readonly version: string;
  readonly compare: (password: string) => Promise<boolean>;
}

interface Guesses {
  readonly failures: number;
  /** Milliseconds; the last one. */
  readonly failedAt: number;
  /** Milliseconds; no guess is checked before. */
  readonly blockedUntil: number;
}

/**
 * Checks passwords. A password that was right is remembered by an HMAC, so a client that sends it with
 * each request costs one hash. Wrong ones are slowed down per name and per address, before anything is hashed.
 */
export class Passwords {
  readonly #none: PasswordsOptions['none'];
  readonly #now: () => number;
  readonly #secret = randomBytes(32);
  readonly #remembered = new Lru<string>({ maxWeight: REMEMBERED_KEPT });
  /**
   * Wrong passwords, so that one that is sent again and again is one guess: Docker sends that of Docker Hub to its mirrors with
   * each pull.
   */
  readonly #wrong = new Lru<string>({ maxWeight: REMEMBERED_KEPT });
  readonly #guesses = new Lru<Guesses>({ maxWeight: WATCHED_KEPT });
  /** The same password that comes on many connections at once, as from the nodes of a cluster, is one guess and one hash. */
  readonly #inFlight = new SingleFlight<boolean>();
  #waiting = 0;

  constructor({ none, now = Date.now }: PasswordsOptions) {
    this.#none = none;
    this.#now = now;
  }

  /**
   * Whether a password is the stored one.
   *
   * @param stored undefined for an unknown user
   * @throws {TooManyGuessesError}
   */
  async check(
    { name, password, address }: { readonly name: string; readonly password: string; readonly address: string },
    stored: StoredPassword | undefined,
  ): Promise<boolean> {
    const key = createHmac('sha256', this.#secret).update(keyOf(name, password)).digest('base64url');
    // A known password is not slowed down: guesses by others do not lock a user out.
    if (stored !== undefined && this.#remembered.get(key) === stored.version) return true;
    const version = stored?.version ?? NO_VERSION;
    if (this.#wrong.get(key) === version) return false;
    const credential = { key, name, password, address, version };
    return this.#inFlight.run(keyOf(key, version), () => this.#checkNew(credential, stored));
  }

  async #checkNew(
    { key, name, password, address, version }: Credential,
    stored: StoredPassword | undefined,
  ): Promise<boolean> {
    const byName = watchedName(name);
    const byAddress = `address ${clientKey(address)}`;
    const watched = [{ key: byName, free: FREE_FOR_NAME }];
    // Clients of a Unix socket have none.
    if (address !== '') watched.push({ key: byAddress, free: FREE_FOR_ADDRESS });
    this.#admit(watched);
    if (this.#waiting >= MAX_WAITING) throw new TooManyGuessesError(1);
    this.#waiting += 1;
    try {
      // Counted before the hash is computed: guesses that are sent together do not all pass for the first.
      for (const each of watched) this.#fail(each);
      const { compare } = stored ?? this.#none();
      const isRight = await compare(password);
      if (!isRight || stored === undefined) {
        this.#wrong.set(key, version);
        return false;
      }
      this.#guesses.delete(byName);
      this.#refund(byAddress);
      this.#remembered.set(key, stored.version);
      return true;
    } finally {
      this.#waiting -= 1;
    }
  }

  #admit(watched: readonly Watched[]): void {
    const until = Math.max(...watched.map(({ key }) => this.#guesses.get(key)?.blockedUntil ?? 0));
    const wait = until - this.#now();
    if (wait > 0) throw new TooManyGuessesError(Math.ceil(wait / 1000));
  }

  #fail({ key, free }: Watched): void {
    const now = this.#now();
    const before = this.#guesses.get(key);
    const isRecent = before !== undefined && now - before.failedAt < FORGOTTEN_AFTER;
    const failures = (isRecent ? before.failures : 0) + 1;
    const over = failures - free;
    const blockedUntil = over < 0 ? 0 : now + Math.min(LONGEST_WAIT, FIRST_WAIT * 2 ** Math.min(over, 16));
    this.#guesses.set(key, { failures, failedAt: now, blockedUntil });
  }

  /** Takes back the one failure that was counted in advance, and no more: other guesses from this address were wrong. */
  #refund(key: string): void {
    const guesses = this.#guesses.get(key);
    if (guesses === undefined) return;
    this.#guesses.set(key, { ...guesses, failures: guesses.failures - 1, blockedUntil: 0 });
  }
}

/** A hash: a client may send a name of thousands of characters with each guess. */
function watchedName(name: string): string {
  return `name ${hash('sha256', name, 'base64url')}`;
}

interface Credential {
  readonly key: string;
  readonly name: string;
  readonly password: string;
  readonly address: string;
  readonly version: string;
}

interface Watched {
  readonly key: string;
  readonly free: number;
}
