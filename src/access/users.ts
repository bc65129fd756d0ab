import { readFile, stat } from 'node:fs/promises';
import { parseHtpasswd } from './htpasswd.ts';

/** Milliseconds; how often at most the file is looked at, and so how long a removed user may go on. */
const LOOK_EVERY = 1000;
/** Bytes of an htpasswd file: some 100,000 users. */
const MAX_SIZE = 8 * 1024 * 1024;

export interface User {
  readonly hash: string;
  /** Changes with the hash; see `Tokens`. */
  readonly version: string;
}

interface UserFileOptions {
  readonly onWarning: (message: string) => void;
  readonly versionOf: (hash: string) => string;
  /** Milliseconds. @default Date.now */
  readonly now?: () => number;
}

/** The users of an htpasswd file. It is read again when it has changed, however it was replaced: Kubernetes swaps a link. */
export class UserFile {
  readonly #path: string;
  readonly #onWarning: UserFileOptions['onWarning'];
  readonly #versionOf: UserFileOptions['versionOf'];
  readonly #now: () => number;
  #users: ReadonlyMap<string, User> = new Map();
  #seen = '';
  #lookedAt = Number.NEGATIVE_INFINITY;
  #looking: Promise<void> | undefined;

  constructor(path: string, { onWarning, versionOf, now = Date.now }: UserFileOptions) {
    this.#path = path;
    this.#onWarning = onWarning;
    this.#versionOf = versionOf;
    this.#now = now;
  }

  /** @throws {HtpasswdError} for a file that cannot be used */
  async open(): Promise<void> {
    this.#lookedAt = this.#now();
    this.#seen = await this.#fingerprint();
    this.#users = await this.#read();
  }

  get names(): readonly string[] {
    return [...this.#users.keys()];
  }

  get(name: string): User | undefined {
    return this.#users.get(name);
  }

  /** Whether {@link refresh} would look, so that a request need not wait for nothing. */
  get isDue(): boolean {
    return this.#looking !== undefined || this.#now() - this.#lookedAt >= LOOK_EVERY;
  }

  /**
   * Reads the file again if it has changed. A file that cannot be used leaves the users as they were, with a warning: an
   * editor that truncates it first locks no one out.
   */
  async refresh(): Promise<void> {
    if (!this.isDue) return;
    this.#looking ??= this.#look().finally(() => {
      this.#looking = undefined;
    });
    await this.#looking;
  }

  async #look(): Promise<void> {
    this.#lookedAt = this.#now();
    let seen = 'unreadable';
    try {
      seen = await this.#fingerprint();
      if (seen === this.#seen) return;
      this.#seen = seen;
      this.#users = await this.#read();
    } catch (error) {
      // Once for each state of the file, and not each second.
      if (seen !== 'unreadable' || this.#seen !== seen)
        this.#onWarning(`${(error as Error).message}; the users stay as they were`);
      this.#seen = seen;
    }
  }

  async #fingerprint(): Promise<string> {
    try {
      const { ino, size, mtimeNs, ctimeNs } = await stat(this.#path, { bigint: true });
      return [ino, size, mtimeNs, ctimeNs].join(' ');
    } catch (error) {
      throw new HtpasswdError([`cannot read ${this.#path}: ${(error as Error).message}`]);
    }
  }

  async #read(): Promise<ReadonlyMap<string, User>> {
    const text = await readHtpasswd(this.#path);
    const { users, problems } = parseHtpasswd(text);
    if (problems.length > 0) {
      throw new HtpasswdError(problems.map(({ line, message }) => `${this.#path}:${line}: ${message}`));
    }
    return new Map([...users].map(([name, hash]) => [name, { hash, version: this.#versionOf(hash) }]));
  }
}

async function readHtpasswd(path: string): Promise<string> {
  try {
    const { size } = await stat(path);
    if (size > MAX_SIZE) throw new Error(`it has ${size} bytes, at most ${MAX_SIZE} are read`);
    return await readFile(path, 'utf8');
  } catch (error) {
    throw new HtpasswdError([`cannot read ${path}: ${(error as Error).message}`]);
  }
}

/** An htpasswd file that cannot be used: every line of it that is wrong. */
export class HtpasswdError extends Error {
  override readonly name = 'HtpasswdError';
  readonly problems: readonly string[];

  constructor(problems: readonly string[]) {
    super(problems.join('; '));
    this.problems = problems;
  }
}
