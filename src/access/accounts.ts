import { ConcurrencyLimit } from '../lib/index.ts';
import type { AccessStore, TokenRecord, UserRecord } from '../store/index.ts';
import { hashPassword } from './argon2.ts';
import { UnstoredLockOutError, UnstoredLockOuts, unstoredPassword } from './lock-outs.ts';
import { faultOfName } from './names.ts';
import { AccountError } from './refusal.ts';
import { type Scope, scopeOf } from './scope.ts';
import { createTokenText, hashOfToken, isTokenShaped } from './token-text.ts';

/** Users, and tokens, that are kept: all of them are in memory, so that each request is decided without a question to the disk. */
const MAX_KEPT = 10_000;
const MIN_PASSWORD = 8;
const MAX_PASSWORD = 256;
/** Milliseconds. A use is noted at most this often for each token, and all of them together. */
const NOTED_EVERY = 60_000;

/** A change that an auditor wants to read. */
export interface AccountChange {
  readonly change:
    | 'user added'
    | 'password changed'
    | 'user disabled'
    | 'user enabled'
    | 'user removed'
    | 'token created'
    | 'token revoked';
  readonly name: string;
  /** The user whom a token acts for. */
  readonly owner?: string | undefined;
}

interface AccountsOptions {
  /** Opens the store; undefined where it does not exist and `create` is false. */
  readonly open: (how: { readonly create: boolean }) => Promise<AccessStore | undefined>;
  readonly onChange: (change: AccountChange) => void;
  readonly onWarning: (message: string, error: unknown) => void;
  /**
   * Whether this process serves clients: then a lock-out that cannot be stored holds in it all the same. @default false: it fails, and
   * nothing is changed
   */
  readonly isServing?: boolean | undefined;
  /** Milliseconds since 1970. @default Date.now */
  readonly now?: () => number;
}

/** A token that may be used now. */
export interface LiveToken extends Pick<TokenRecord, 'name' | 'hash' | 'owner'> {
  readonly scope: Scope;
}

export interface NewToken extends Pick<TokenRecord, 'name' | 'owner' | 'may' | 'on' | 'expiresAt'> {}

interface LockOut {
  readonly write: (store: AccessStore) => Promise<unknown>;
  /** Makes it so in memory. */
  readonly apply: () => void;
}

interface Token {
  readonly record: TokenRecord;
  readonly scope: Scope;
}

/**
 * The users and tokens of this server, and their changes. A change is stored before it takes effect, and takes effect at the next
 * request. A lock-out alone (to disable or remove a user, to revoke a token) takes effect also where it cannot be stored; it is stored
 * later, before any other change. This process owns the store.
 */
export class Accounts {
  readonly #options: AccountsOptions;
  readonly #now: () => number;
  readonly #users = new Map<string, UserRecord>();
  readonly #tokens = new Map<string, Token>();
  readonly #byHash = new Map<string, Token>();
  /** Changes are made one after the other, so that memory and store agree. */
  readonly #changing = new ConcurrencyLimit(1);
  readonly #usedAt = new Map<string, number>();
  readonly #unnoted = new Set<string>();
  readonly #unstored = new UnstoredLockOuts();
  #timer: NodeJS.Timeout | undefined;
  #store: AccessStore | undefined;
  #isClosed = false;

  private constructor(options: AccountsOptions) {
    this.#options = options;
    this.#now = options.now ?? Date.now;
  }

  /** Reads all users and tokens. @throws {AccessStoreError} */
  static async open(options: AccountsOptions): Promise<Accounts> {
    const accounts = new Accounts(options);
    const store = await options.open({ create: false });
    if (store === undefined) return accounts;
    accounts.#store = store;
    try {
      for (const user of await store.listUsers()) accounts.#users.set(user.name, user);
      for (const token of await store.listTokens()) accounts.#keep(token);
    } catch (error) {
      await store.close();
      throw error;
    }
    return accounts;
  }

  /** In the order of their names. */
  get users(): readonly UserRecord[] {
    return [...this.#users.values()].sort(byName);
  }

  /** In the order of their names, with their last use. */
  get tokens(): readonly TokenRecord[] {
    return [...this.#tokens.values()]
      .map(({ record }) => ({ ...record, usedAt: this.#usedAt.get(record.name) ?? record.usedAt }))
      .sort(byName);
  }

  /** Whether there is neither a user nor a token. */
  get isEmpty(): boolean {
    return this.#users.size + this.#tokens.size === 0;
  }

  get hasUsers(): boolean {
    return this.#users.size > 0;
  }

  /** A user, disabled or not. */
  user(name: string): UserRecord | undefined {
    return this.#users.get(name);
  }

  /** A token that is neither revoked nor expired, and whose user is neither removed nor disabled. */
  token(name: string): LiveToken | undefined {
    return this.#live(this.#tokens.get(name));
  }

  /** The same, by the text that a client shows. */
  tokenOf(text: string): LiveToken | undefined {
    const hash = hashOfToken(text);
    return hash === undefined ? undefined : this.#live(this.#byHash.get(hash));
  }

  /** @throws {AccountError} */
  async addUser(name: string, password: string): Promise<void> {
    check(faultOfName(name, 'user'));
    check(faultOfPassword(password));
    if (this.#users.size >= MAX_KEPT) throw new AccountError(`there are ${MAX_KEPT} users; remove one first`);
    const taken = `there is a user called ${name} already; to set another password: entrepot users passwd ${name}`;
    if (this.#users.has(name)) throw new AccountError(taken);
    const hash = await hashPassword(password);
    await this.#change({ change: 'user added', name }, async (store) => {
      const now = this.#now();
      const user = { name, password: hash, disabled: false, createdAt: now, passwordAt: now };
      if (!(await store.addUser(user))) throw new AccountError(taken);
      this.#users.set(name, user);
      return true;
    });
  }

  /**
   * The signed tokens that the old password got end; tokens that act for the user stay. Where the new one cannot be stored, the old one
   * stays. @throws {AccountError}
   */
  async setPassword(name: string, password: string): Promise<void> {
    this.#require(name);
    check(faultOfPassword(password));
    const hash = await hashPassword(password);
    try {
      await this.#change({ change: 'password changed', name }, async (store) => {
        const at = this.#now();
        const user = this.#require(name);
        if (!(await store.setPassword(name, { password: hash, at }))) throw noUser(name);
        this.#users.set(name, { ...user, password: hash, passwordAt: at });
        return true;
      });
    } catch (error) {
      if (error instanceof AccountError) throw error;
      throw unstoredPassword(name, error, { canDisable: this.#options.isServing === true });
    }
  }

  /** @returns false where it was so already @throws {AccountError} */
  async setDisabled(name: string, disabled: boolean): Promise<boolean> {
    this.#require(name);
    // Decided in its turn: another change that is under way may make it otherwise.
    const decide = (): UserRecord | undefined => {
      const user = this.#require(name);
      return user.disabled === disabled && !this.#unstored.has(name) ? undefined : { ...user, disabled };
    };
    if (disabled) {
      return this.#lockOut({ change: 'user disabled', name }, name, () => {
        const user = decide();
        if (user === undefined) return undefined;
        return {
          write: (store) => store.setDisabled(name, true),
          apply: () => this.#users.set(name, user),
        };
      });
    }
    return this.#change({ change: 'user enabled', name }, async (store) => {
      const user = decide();
      if (user === undefined) return false;
      if (!(await store.setDisabled(name, false))) throw noUser(name);
      this.#users.set(name, user);
      return true;
    });
  }

  /** @returns the tokens that acted for the user, which are gone too @throws {AccountError} */
  async removeUser(name: string): Promise<readonly string[]> {
    const removed: string[] = [];
    const require = (): void => {
      if (!this.#unstored.has(name)) this.#require(name);
    };
    require();
    await this.#lockOut({ change: 'user removed', name }, name, () => {
      require();
      return {
        write: (store) => store.removeUser(name),
        apply: () => {
          this.#users.delete(name);
          for (const { record } of this.#tokens.values()) {
            if (record.owner !== name) continue;
            this.#drop(record);
            removed.push(record.name);
          }
        },
      };
    });
    return removed.sort();
  }

  /** @returns the token, which is stored nowhere and cannot be shown again @throws {AccountError} */
  async createToken(token: NewToken): Promise<string> {
    const { name, owner } = token;
    check(faultOfName(name, 'token'));
    if (this.#tokens.size >= MAX_KEPT) throw new AccountError(`there are ${MAX_KEPT} tokens; revoke one first`);
    if (owner !== undefined) this.#require(owner);
    const text = createTokenText();
    await this.#change({ change: 'token created', name, owner }, async (store) => {
      const hash = hashOfToken(text) ?? '';
      const record: TokenRecord = { ...token, hash, createdAt: this.#now(), usedAt: undefined };
      const outcome = await store.addToken(record);
      if (outcome === 'no owner') throw noUser(owner ?? '');
      if (outcome === 'taken') {
        throw new AccountError(
          `there is a token called ${name} already; choose another name, or first: entrepot tokens revoke ${name}`,
        );
      }
      this.#usedAt.delete(name);
      this.#keep(record);
      return true;
    });
    return text;
  }

  /** @throws {AccountError} */
  async revokeToken(name: string): Promise<void> {
    const who = `token:${name}`;
    const find = (): TokenRecord | undefined => {
      const token = this.#tokens.get(name)?.record;
      if (token !== undefined || this.#unstored.has(who)) return token;
      throw new AccountError(`there is no token called ${name}; \`entrepot tokens list\` shows them`);
    };
    await this.#lockOut({ change: 'token revoked', name, owner: find()?.owner }, who, () => {
      const token = find();
      return {
        write: (store) => store.removeToken(name),
        apply: () => {
          if (token !== undefined) this.#drop(token);
        },
      };
    });
  }

  /** Notes that a token is used now; stored with others, later. */
  noteUse(name: string): void {
    const token = this.#tokens.get(name);
    const now = this.#now();
    if (token === undefined || this.#isClosed) return;
    if (now - (this.#usedAt.get(name) ?? token.record.usedAt ?? Number.NEGATIVE_INFINITY) < NOTED_EVERY) return;
    this.#usedAt.set(name, now);
    this.#unnoted.add(name);
    this.#flushLater();
  }

  /** Ends with what is under way. */
  async close(): Promise<void> {
    this.#isClosed = true;
    clearTimeout(this.#timer);
    await this.#flush();
    await this.#changing.run(async () => this.#store?.close());
  }

  #live(token: Token | undefined): LiveToken | undefined {
    if (token === undefined) return undefined;
    const { name, hash, owner, expiresAt } = token.record;
    if (expiresAt !== undefined && expiresAt <= this.#now()) return undefined;
    // A token of a user is refused with them.
    if (owner !== undefined && this.#users.get(owner)?.disabled !== false) return undefined;
    return { name, hash, owner, scope: token.scope };
  }

  #keep(record: TokenRecord): void {
    const token = { record, scope: scopeOf(record) };
    this.#tokens.set(record.name, token);
    this.#byHash.set(record.hash, token);
  }

  #drop({ name, hash }: TokenRecord): void {
    this.#tokens.delete(name);
    this.#byHash.delete(hash);
    this.#usedAt.delete(name);
    this.#unnoted.delete(name);
  }

  #require(name: string): UserRecord {
    const user = this.#users.get(name);
    if (user === undefined) throw noUser(name);
    return user;
  }

  /** @param work resolves to whether anything was changed */
  #change(change: AccountChange, work: (store: AccessStore) => Promise<boolean>): Promise<boolean> {
    return this.#inTurn(change, async (store) => {
      // What follows may depend on them: a user of the same name, or that the user is let in again.
      await this.#unstored.storeIn(store);
      return work(store);
    });
  }

  /**
   * A change that refuses a user or token: where it cannot be stored, it is applied all the same, and an error says so.
   *
   * @param who as rules name them
   * @param decide what to do, in its turn; undefined where it is done already
   */
  #lockOut(change: AccountChange, who: string, decide: () => LockOut | undefined): Promise<boolean> {
    return this.#inTurn(change, async (store) => {
      const lockOut = decide();
      if (lockOut === undefined) return false;
      try {
        // A row that is gone refuses them as well.
        await lockOut.write(store);
        this.#unstored.delete(who);
      } catch (error) {
        if (this.#options.isServing !== true) throw error;
        lockOut.apply();
        this.#unstored.add(who, lockOut.write);
        this.#flushLater();
        this.#options.onWarning(`Cannot store that ${who} is refused, which so ends at the next restart`, error);
        throw new UnstoredLockOutError(who, error);
      }
      lockOut.apply();
      return true;
    });
  }

  async #inTurn(change: AccountChange, work: (store: AccessStore) => Promise<boolean>): Promise<boolean> {
    try {
      const isChanged = await this.#changing.run(async () => {
        if (this.#isClosed) throw new AccountError('the server is stopping; repeat the command');
        this.#store ??= await this.#options.open({ create: true });
        if (this.#store === undefined) throw new AccountError('users and tokens cannot be stored here');
        return work(this.#store);
      });
      if (isChanged) this.#options.onChange(change);
      return isChanged;
    } catch (error) {
      if (error instanceof UnstoredLockOutError) this.#options.onChange(change);
      throw error;
    }
  }

  #flushLater(): void {
    this.#timer ??= setTimeout(() => void this.#flush(), NOTED_EVERY).unref();
  }

  async #flush(): Promise<void> {
    this.#timer = undefined;
    await this.#storeLockOuts();
    await this.#noteUses();
  }

  /** Never rejects: where the disk still refuses them, they are tried again. */
  async #storeLockOuts(): Promise<void> {
    const store = this.#store;
    if (this.#unstored.names.length === 0 || store === undefined) return;
    try {
      await this.#changing.run(() => this.#unstored.storeIn(store));
    } catch (error) {
      if (!this.#isClosed) {
        this.#flushLater();
        return;
      }
      const names = this.#unstored.names.join(', ');
      this.#options.onWarning(`Cannot store that these are refused, so the next start lets them in: ${names}`, error);
    }
  }

  /** Never rejects: the last use is worth no failure. */
  async #noteUses(): Promise<void> {
    const uses = [...this.#unnoted].map((name) => ({ name, at: this.#usedAt.get(name) ?? 0 }));
    this.#unnoted.clear();
    if (uses.length === 0) return;
    try {
      await this.#changing.run(async () => this.#store?.noteUses(uses));
    } catch (error) {
      this.#options.onWarning('Cannot note the last use of tokens', error);
    }
  }
}

function check(fault: string | undefined): void {
  if (fault !== undefined) throw new AccountError(fault);
}

/** The message never quotes the password. */
function faultOfPassword(password: string): string | undefined {
  if (isTokenShaped(password))
    return 'this password has the form of a token, and would be taken for one; choose another';
  if (/\p{Cc}/u.test(password)) return 'a password has no control characters; choose another';
  const { length } = password;
  if (length >= MIN_PASSWORD && length <= MAX_PASSWORD) return undefined;
  return `a password has ${MIN_PASSWORD} to ${MAX_PASSWORD} characters, and this one has ${length}; choose another`;
}

function noUser(name: string): AccountError {
  return new AccountError(`there is no stored user called ${name}; \`entrepot users list\` shows them`);
}

function byName(a: { readonly name: string }, b: { readonly name: string }): number {
  return a.name < b.name ? -1 : a.name > b.name ? 1 : 0;
}
