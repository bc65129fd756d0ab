import { createHash, timingSafeEqual } from 'node:crypto';
import { BcryptThread } from './bcrypt-thread.ts';
import { type AccessRequest, type Action, ALLOWED, type Decision, repositoryName } from './gate.ts';
import { Passwords, type StoredPassword } from './passwords.ts';
import { Policy, type PolicySpec } from './policy.ts';
import { ANONYMOUS, nameOf, type Principal } from './principal.ts';
import { CredentialError } from './refusal.ts';
import { TOKEN_LIFETIME, type TokenHolder, type Tokens } from './tokens.ts';
import { UserFile } from './users.ts';

/** A hash of a password that is not known. */
const NO_PASSWORD = '$2b$10$oP8azoNm4UjZKWEP.PxxcOGvfkutczrqEq7PcG9e2SZfurvDXCPDi';
/** One for the process: a reload makes another guard, and no other thread. */
const BCRYPT = new BcryptThread();
/** Characters of an `Authorization` header that is looked at. */
const MAX_HEADER = 8192;

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
  /** Live as long as the process, so that a reload logs no client out. */
  readonly tokens: Tokens;
  readonly onWarning: (message: string) => void;
}

/** Identifies clients and decides what they may. Every request of a server with `access:` passes it. */
export class Guard {
  readonly #policy: Policy;
  readonly #users: UserFile | undefined;
  readonly #options: GuardOptions;
  readonly #passwords: Passwords;

  private constructor(options: GuardOptions) {
    this.#options = options;
    this.#policy = new Policy(options);
    const { htpasswd, onWarning, tokens } = options;
    const versionOf = (hash: string): string => tokens.versionOf(hash);
    this.#users = htpasswd === undefined ? undefined : new UserFile(htpasswd, { onWarning, versionOf });
    this.#passwords = new Passwords({ compareNone: (password) => BCRYPT.compare(password, NO_PASSWORD) });
  }

  /** @throws {HtpasswdError} */
  static async open(options: GuardOptions): Promise<Guard> {
    const guard = new Guard(options);
    await guard.#users?.open();
    return guard;
  }

  /** The users that can log in. */
  get users(): readonly string[] {
    const { plainUser } = this.#options;
    return [...(this.#users?.names ?? []), ...(plainUser === undefined ? [] : [plainUser.name])];
  }

  /** @throws {CredentialError} for a credential that is not valid @throws {TooManyGuessesError} */
  async identify({ authorization, address, audience }: Shown): Promise<Identity> {
    await this.#users?.refresh();
    if (authorization === undefined) return { principal: ANONYMOUS, shown: false };
    if (authorization.length > MAX_HEADER) throw new CredentialError();
    const bearer = /^bearer +(\S+) *$/i.exec(authorization)?.[1];
    if (bearer !== undefined) {
      const holder = audience === undefined ? undefined : this.#options.tokens.verify(bearer, audience);
      if (holder === undefined || holder.version !== (await this.#versionOf(holder.principal)))
        throw new CredentialError();
      return { principal: holder.principal, shown: true };
    }
    const basic = parseBasic(authorization);
    if (basic === undefined) throw new CredentialError();
    return { principal: await this.logIn({ ...basic, address }), shown: true };
  }

  /** The user of a name and password. @throws {CredentialError} {TooManyGuessesError} */
  async logIn(credential: {
    readonly name: string;
    readonly password: string;
    readonly address: string;
  }): Promise<Principal> {
    await this.#users?.refresh();
    const { name } = credential;
    if (await this.#passwords.check(credential, await this.#storedOf(name))) return { kind: 'user', name };
    throw new CredentialError();
  }

  /** A token for a principal that was identified before. @param audience the host that the client uses */
  async issue(principal: Principal, audience: string): Promise<{ readonly token: string; readonly expiresIn: number }> {
    const version = await this.#versionOf(principal);
    // Removed between the two.
    if (version === undefined) throw new CredentialError();
    return { token: this.#options.tokens.issue({ principal, version }, audience), expiresIn: TOKEN_LIFETIME };
  }

  /** Whether a principal may do this; for a user, only while the user exists. */
  authorize(request: AccessRequest): Decision {
    const { principal, action, repository } = request;
    const reason = reasonFor(request);
    const refused: Decision = { allowed: false, reason };
    if (principal.kind === 'user' && !this.#exists(principal.name)) return refused;
    if (action === 'connect') return ALLOWED;
    // The list is filtered name by name afterwards.
    const isList = action === 'catalog' && repository?.repository === '';
    if (isList) return this.#policy.mayAnywhere(principal, action) ? ALLOWED : refused;
    const ruling = this.#policy.decide(request);
    if (ruling === undefined) return refused;
    return ruling.onlyPublic ? { allowed: true, onlyPublic: true, reason } : ALLOWED;
  }

  #exists(name: string): boolean {
    return this.#options.plainUser?.name === name || this.#users?.get(name) !== undefined;
  }

  async #storedOf(name: string): Promise<StoredPassword | undefined> {
    const { plainUser, tokens } = this.#options;
    if (plainUser?.name === name) {
      const expected = await plainUser.password();
      const compare = (password: string) => Promise.resolve(isSame(password, expected));
      return { version: tokens.versionOf(expected), compare };
    }
    const user = this.#users?.get(name);
    if (user === undefined) return undefined;
    return { version: user.version, compare: (password) => BCRYPT.compare(password, user.hash) };
  }

  async #versionOf(principal: Principal): Promise<TokenHolder['version'] | undefined> {
    return principal.kind === 'anonymous' ? '' : (await this.#storedOf(principal.name))?.version;
  }
}

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
