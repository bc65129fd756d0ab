import { ConcurrencyLimit } from '../lib/index.ts';
import type { AccessStore, TokenRecord, UserRecord } from '../store/index.ts';
import { hashPassword } from './argon2.ts';
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
  /** Milliseconds since 1970. @default Date.now */
  readonly now?: () => number;
}

/** A token that may be used now. */
export interface LiveToken extends Pick<TokenRecord, 'name' | 'hash' | 'owner'> {
  readonly scope: Scope;
}

export interface NewToken extends Pick<TokenRecord, 'name' | 'owner' | 'may' | 'on' | 'expiresAt'> {}

interface Token {
  readonly record: TokenRecord;
  readonly scope: Scope;
}

/**
 * The users and tokens of this server, and their changes. A change is stored before it takes effect, and takes effect at the next
 * request. This process owns the store.
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

  /** The signed tokens that the old password got end; tokens that act for the user stay. @throws {AccountError} */
  async setPassword(name: string, password: string): Promise<void> {
    this.#require(name);
    check(faultOfPassword(password));
    const hash = await hashPassword(password);
    await this.#change({ change: 'password changed', name }, async (store) => {
      const at = this.#now();
      const user = this.#require(name);
      if (!(await store.setPassword(name, { password: hash, at }))) throw noUser(name);
      this.#users.set(name, { ...user, password: hash, passwordAt: at });
      return true;
    });
  }

  /** @returns false where it was so already @throws {AccountError} */
  async setDisabled(name: string, disabled: boolean): Promise<boolean> {
    this.#require(name);
    // Decided in its turn: another change that is under way may make it otherwise.
    return this.#change({ change: disabled ? 'user disabled' : 'user enabled', name }, async (store) => {
      const user = this.#require(name);
      if (user.disabled === disabled) return false;
      if (!(await store.setDisabled(name, disabled))) throw noUser(name);
      this.#users.set(name, { ...user, disabled });
      return true;
    });
  }

  /** @returns the tokens that acted for the user, which are gone too @throws {AccountError} */
  async removeUser(name: string): Promise<readonly string[]> {
    this.#require(name);
    const removed: string[] = [];
    await this.#change({ change: 'user removed', name }, async (store) => {
      if (!(await store.removeUser(name))) throw noUser(name);
      this.#users.delete(name);
      for (const { record } of this.#tokens.values()) {
        if (record.owner !== name) continue;
        this.#drop(record);
        removed.push(record.name);
      }
      return true;
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
    await this.#change(
      { change: 'token revoked', name, owner: this.#tokens.get(name)?.record.owner },
      async (store) => {
        const token = this.#tokens.get(name);
        if (token === undefined || !(await store.removeToken(name))) {
          throw new AccountError(`there is no token called ${name}; \`entrepot tokens list\` shows them`);
        }
        this.#drop(token.record);
        return true;
      },
    );
  }

  /** Notes that a token is used now; stored with others, later. */
  noteUse(name: string): void {
    const token = this.#tokens.get(name);
    const now = this.#now();
    if (token === undefined || this.#isClosed) return;
    if (now - (this.#usedAt.get(name) ?? token.record.usedAt ?? Number.NEGATIVE_INFINITY) < NOTED_EVERY) return;
    this.#usedAt.set(name, now);
    this.#unnoted.add(name);
    this.#timer ??= setTimeout(() => void this.#flush(), NOTED_EVERY).unref();
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
  async #change(change: AccountChange, work: (store: AccessStore) => Promise<boolean>): Promise<boolean> {
    const isChanged = await this.#changing.run(async () => {
      if (this.#isClosed) throw new AccountError('the server is stopping; repeat the command');
      this.#store ??= await this.#options.open({ create: true });
      if (this.#store === undefined) throw new AccountError('users and tokens cannot be stored here');
      return work(this.#store);
    });
    if (isChanged) this.#options.onChange(change);
    return isChanged;
  }

  /** Never rejects: the last use is worth no failure. */
  async #flush(): Promise<void> {
    this.#timer = undefined;
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
