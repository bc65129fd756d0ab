import { createHash, timingSafeEqual } from 'node:crypto';
import { Lru } from '../lib/index.ts';
import type { Accounts, LiveToken } from './accounts.ts';
import { isPasswordOf, NO_PASSWORD as NO_STORED_PASSWORD } from './argon2.ts';
import { underAudit } from './audit.ts';
import { BcryptThread } from './bcrypt-thread.ts';
import { type AccessRequest, type Action, ALLOWED, type Decision, repositoryName } from './gate.ts';
import { Passwords, type StoredPassword } from './passwords.ts';
import { Policy, type PolicySpec } from './policy.ts';
import { ANONYMOUS, nameOf, type Principal } from './principal.ts';
import { CredentialError } from './refusal.ts';
import { isWithin } from './scope.ts';
import { isTokenShaped } from './token-text.ts';
import { TOKEN_LIFETIME, type TokenHolder, type Tokens, type VerifiedToken } from './tokens.ts';
import { UserFile } from './users.ts';

/** A bcrypt hash of a password that is not known. */
const NO_PASSWORD = '$2b$10$oP8azoNm4UjZKWEP.PxxcOGvfkutczrqEq7PcG9e2SZfurvDXCPDi';
/** One for the process: a reload makes another guard, and no other thread. */
const BCRYPT = new BcryptThread();
/** Characters of an `Authorization` header that is looked at. */
const MAX_HEADER = 8192;

const VERSIONS_KEPT = 1024;
const BEARERS_KEPT = 1024;

/** What a request shows of its client. */
export interface Shown {
  /** The `Authorization` or `Proxy-Authorization` header. */
  readonly authorization: string | undefined;
  /** The client's address; empty for a Unix socket. */
  readonly address: string;
  /** The host that tokens shown to this request were made for; undefined where none can be. */
  readonly audience: string | undefined;
}

/** A principal, and whether the request showed a credential or token for it: a token for `anonymous` counts. */
export interface Identity {
  readonly principal: Principal;
  readonly shown: boolean;
}

export interface GuardOptions extends PolicySpec {
  /** @default no users */
  readonly htpasswd?: string | undefined;
  /** The user of the forward proxy, whose password is not hashed. Read at each use. */
  readonly plainUser?: { readonly name: string; readonly password: () => Promise<string> } | undefined;
  /** Stored users and tokens. @default none, and none can be stored */
  readonly accounts?: Accounts | undefined;
  /** Whether pulls of public content that no rule allows are let through. @default false */
  readonly audit?: boolean | undefined;
  /** Live as long as the process, so that a reload logs no client out. */
  readonly tokens: Tokens;
  readonly onWarning: (message: string) => void;
}

/** Whom rules can be for. */
export interface KnownPrincipals {
  /** Every user who can log in, disabled ones included; a name that is in two places is here twice. */
  readonly users: readonly string[];
  readonly tokens: readonly Pick<LiveToken, 'name' | 'owner'>[];
  /** False where the stored ones are not known. */
  readonly isComplete: boolean;
  /** Why they are not, with the remedy; where they could not be read. */
  readonly unread?: string | undefined;
}

/** Identifies clients and decides what they may. Every request of a server with `access:` passes it. */
export class Guard {
  readonly #policy: Policy;
  readonly #users: UserFile | undefined;
  readonly #options: GuardOptions;
  readonly #passwords: Passwords;
  /** The decision of each rule, made once: almost every request is allowed by one. */
  readonly #allowedBy: Decision[] = [];
  /** What {@link Tokens.versionOf} gives for a stored hash, which each request needs. */
  readonly #versions = new Lru<string>({ maxWeight: VERSIONS_KEPT });
  /** Signed tokens by the header that shows them: a signature takes longer to verify than a warm manifest to answer. */
  readonly #bearers = new Lru<Bearer>({ maxWeight: BEARERS_KEPT });

  private constructor(options: GuardOptions) {
    this.#options = options;
    this.#policy = new Policy(options);
    const { htpasswd, onWarning, tokens } = options;
    const versionOf = (hash: string): string => tokens.versionOf(hash);
    this.#users = htpasswd === undefined ? undefined : new UserFile(htpasswd, { onWarning, versionOf });
    this.#passwords = new Passwords({ none: () => (options.accounts?.hasUsers === true ? NONE_STORED : NONE_IN_FILE) });
  }

  /** @throws {HtpasswdError} */
  static async open(options: GuardOptions): Promise<Guard> {
    const guard = new Guard(options);
    await guard.#users?.open();
    return guard;
  }

  /** Whether any client can log in at all. */
  get hasLogins(): boolean {
    const { accounts, plainUser } = this.#options;
    return plainUser !== undefined || accounts?.isEmpty === false || (this.#users?.names.length ?? 0) > 0;
  }

  get known(): KnownPrincipals {
    const { accounts } = this.#options;
    const stored = accounts?.users.map(({ name }) => name) ?? [];
    const users = [...stored, ...this.configuredUsers.map(({ name }) => name)];
    return { users, tokens: accounts?.tokens ?? [], isComplete: true };
  }

  /** The users that the configuration has, and where. A stored user of the name has precedence. */
  get configuredUsers(): readonly { readonly name: string; readonly from: 'htpasswd' | 'forward_proxy' }[] {
    const { plainUser } = this.#options;
    const inFile = (this.#users?.names ?? []).map((name) => ({ name, from: 'htpasswd' }) as const);
    return plainUser === undefined ? inFile : [...inFile, { name: plainUser.name, from: 'forward_proxy' }];
  }

  /** Looks for a change of the file of users, once a second at most. For a client that was identified before: `identify` does so itself. */
  async refresh(): Promise<void> {
    if (this.#users?.isDue === true) await this.#users.refresh();
  }

  /**
   * Who a client is, where nothing has to be read, hashed or verified for it: it shows no credential, or a signed token that was verified
   * before and still holds. Undefined: {@link identify} says.
   */
  identifyKnown({ authorization, audience }: Omit<Shown, 'address'>): Identity | undefined {
    if (this.#users?.isDue === true) return undefined;
    if (authorization === undefined) return UNIDENTIFIED;
    const known = this.#bearers.get(authorization);
    if (known === undefined || !this.#options.tokens.isValidFor(known.token, audience)) return undefined;
    const { principal, version } = known.token;
    if (this.#versionAtHand(principal) !== version) return undefined;
    if (principal.kind === 'token') this.#options.accounts?.noteUse(principal.name);
    return known.identity;
  }

  /** @throws {CredentialError} for a credential that is not valid @throws {TooManyGuessesError} */
  async identify({ authorization, address, audience }: Shown): Promise<Identity> {
    if (this.#users?.isDue === true) await this.#users.refresh();
    // Requests that have waited for the file: their tokens were verified before.
    const known = this.identifyKnown({ authorization, audience });
    if (known !== undefined || authorization === undefined) return known ?? UNIDENTIFIED;
    if (authorization.length > MAX_HEADER) throw new CredentialError();
    const bearer = /^bearer +(\S+) *$/i.exec(authorization)?.[1];
    if (bearer !== undefined) {
      if (isTokenShaped(bearer)) return { principal: this.redeem(bearer), shown: true };
      const { tokens, accounts } = this.#options;
      const token = tokens.verify(bearer, audience);
      if (token === undefined) throw new CredentialError();
      const { principal, version } = token;
      if (version !== (await this.versionOf(principal))) throw new CredentialError();
      if (principal.kind === 'token') accounts?.noteUse(principal.name);
      const identity = { principal, shown: true };
      this.#bearers.set(authorization, { token, identity });
      return identity;
    }
    const basic = parseBasic(authorization);
    if (basic === undefined) throw new CredentialError();
    return { principal: await this.logIn({ ...basic, address }), shown: true };
  }

  /**
   * The user of a name and password, or the token in place of a password: then any name will do, since clients do not log in without
   * one. @throws {CredentialError} {TooManyGuessesError}
   */
  async logIn(credential: {
    readonly name: string;
    readonly password: string;
    readonly address: string;
  }): Promise<Principal> {
    await this.#users?.refresh();
    const { name, password } = credential;
    // Not slowed down: 256 random bits are not guessed.
    if (isTokenShaped(password)) return this.redeem(password);
    if (await this.#passwords.check(credential, await this.#storedOf(name))) return { kind: 'user', name };
    throw new CredentialError();
  }

  /** The principal of a token of ours. @throws {CredentialError} for a mistyped, revoked or expired one, or of a user who is refused */
  redeem(text: string): Principal {
    const { accounts } = this.#options;
    const token = accounts?.tokenOf(text);
    if (token === undefined) throw new CredentialError();
    accounts?.noteUse(token.name);
    return { kind: 'token', name: token.name };
  }

  /** A signed token for a principal that was identified before. @param audience the host that the client uses */
  async issue(principal: Principal, audience: string): Promise<{ readonly token: string; readonly expiresIn: number }> {
    const version = await this.versionOf(principal);
    // Removed between the two.
    if (version === undefined || principal.kind === 'operator') throw new CredentialError();
    return { token: this.#options.tokens.issue({ principal, version }, audience), expiresIn: TOKEN_LIFETIME };
  }

  /** Whether a principal may do this; for a user or token, only while it exists and is not disabled. */
  authorize(request: AccessRequest): Decision {
    const { principal, action, repository } = request;
    if (principal.kind === 'operator') return ALLOWED;
    const refused = (): Decision => ({ allowed: false, reason: reasonFor(request) });
    const judged = this.#judged(principal);
    if (judged === undefined) return refused();
    if (action === 'connect') return ALLOWED;
    // The list is filtered name by name afterwards.
    const isList = action === 'catalog' && repository?.repository === '';
    const { scope } = judged;
    if (scope !== undefined && !(isList ? scope.may.has(action) : isWithin(scope, request))) return refused();
    if (isList) return this.#policy.mayAnywhere(judged.principal, action) ? ALLOWED : refused();
    const asked = judged.principal === principal ? request : { ...request, principal: judged.principal };
    const ruling = this.#policy.decide(asked);
    if (ruling === undefined) {
      return this.#options.audit === true ? underAudit(reasonFor(request), request) : refused();
    }
    const { rule } = ruling;
    if (ruling.onlyPublic) return { allowed: true, onlyPublic: true, reason: reasonFor(request), rule };
    return (this.#allowedBy[rule] ??= { allowed: true, rule });
  }

  /** The principal whose rules decide, and what narrows them; undefined for one that is gone or disabled. */
  #judged(principal: Principal): { readonly principal: Principal; readonly scope?: LiveToken['scope'] } | undefined {
    const { kind } = principal;
    if (kind === 'anonymous' || kind === 'operator') return { principal };
    if (kind === 'user') return this.#exists(principal.name) ? { principal } : undefined;
    const token = this.#options.accounts?.token(principal.name);
    if (token === undefined) return undefined;
    const { owner, scope } = token;
    return { principal: owner === undefined ? principal : { kind: 'user', name: owner }, scope };
  }

  #exists(name: string): boolean {
    const stored = this.#options.accounts?.user(name);
    if (stored !== undefined) return !stored.disabled;
    return this.#options.plainUser?.name === name || this.#users?.get(name) !== undefined;
  }

  async #storedOf(name: string): Promise<StoredPassword | undefined> {
    const version = await this.versionOf({ kind: 'user', name });
    return version === undefined ? undefined : { version, compare: (password) => this.#compare(name, password) };
  }

  async #compare(name: string, password: string): Promise<boolean> {
    const { accounts, plainUser } = this.#options;
    const stored = accounts?.user(name);
    if (stored !== undefined) return isPasswordOf(stored.password, password);
    if (plainUser?.name === name) return isSame(password, await plainUser.password());
    const user = this.#users?.get(name);
    return user !== undefined && BCRYPT.compare(password, user.hash);
  }

  /** Stands for the secret of a principal; undefined for one that is gone or disabled, and for the operator, who has none. */
  async versionOf(principal: Principal): Promise<TokenHolder['version'] | undefined> {
    const { plainUser, tokens } = this.#options;
    const isPlain = principal.kind === 'user' && plainUser?.name === principal.name;
    const stored = this.#versionAtHand(principal);
    if (stored !== undefined || !isPlain || this.#options.accounts?.user(principal.name) !== undefined) return stored;
    return tokens.versionOf(await plainUser.password());
  }

  /** The same, without a wait: undefined for the user of the forward proxy too, whose password is read at each use. */
  #versionAtHand(principal: Principal): TokenHolder['version'] | undefined {
    const { accounts, plainUser } = this.#options;
    const { kind } = principal;
    if (kind === 'anonymous') return '';
    if (kind === 'operator') return undefined;
    const { name } = principal;
    if (kind === 'token') {
      const token = accounts?.token(name);
      return token === undefined ? undefined : this.#versionOfHash(token.hash);
    }
    // First: a disabled user is refused although a line in a file has the name too.
    const stored = accounts?.user(name);
    if (stored !== undefined) return stored.disabled ? undefined : this.#versionOfHash(stored.password);
    return plainUser?.name === name ? undefined : this.#users?.get(name)?.version;
  }

  #versionOfHash(hash: string): string {
    const known = this.#versions.get(hash);
    if (known !== undefined) return known;
    const version = this.#options.tokens.versionOf(hash);
    this.#versions.set(hash, version);
    return version;
  }
}

interface Bearer {
  readonly token: VerifiedToken;
  readonly identity: Identity;
}

const UNIDENTIFIED: Identity = { principal: ANONYMOUS, shown: false };

const NONE_IN_FILE = { compare: (password: string) => BCRYPT.compare(password, NO_PASSWORD) };
const NONE_STORED = { compare: (password: string) => isPasswordOf(NO_STORED_PASSWORD, password) };

function reasonFor({ principal, action, repository }: AccessRequest): string {
  return `${nameOf(principal)} may not ${VERBS[action]} ${repositoryName(repository)}`.trimEnd();
}

const VERBS: Readonly<Record<Action, string>> = {
  connect: 'connect',
  pull: 'pull',
  catalog: 'list repositories',
  push: 'push to',
  delete: 'delete from',
  status: 'read the status of this server',
  admin: 'administer this server',
  proxy: 'use the forward proxy',
};

/** RFC 7617. */
function parseBasic(header: string): { readonly name: string; readonly password: string } | undefined {
  const encoded = /^basic +([a-z0-9+/_-]+={0,2}) *$/i.exec(header)?.[1];
  if (encoded === undefined) return undefined;
  const text = Buffer.from(encoded, 'base64').toString('utf8');
  const colon = text.indexOf(':');
  return colon === -1 ? undefined : { name: text.slice(0, colon), password: text.slice(colon + 1) };
}

function digestOf(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}

function isSame(one: string, other: string): boolean {
  return timingSafeEqual(digestOf(one), digestOf(other));
}
