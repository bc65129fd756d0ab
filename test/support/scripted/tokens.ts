import { randomUUID } from 'node:crypto';
import { type Exchange, sendStatus } from './answer.ts';
import type { Personality } from './personality.ts';

export interface Credentials {
  readonly username: string;
  readonly password: string;
}

type Bearer = Extract<Personality['auth'], { kind: 'bearer' }>;

/** Hands out tokens and knows them again. Each token is used nowhere else, so that one that turns up elsewhere is a leak. */
export class Tokens {
  readonly #granted = new Map<string, { readonly scopes: ReadonlySet<string>; readonly anonymous: boolean }>();
  readonly #auth: Bearer;
  readonly #accounts: { readonly credentials: Credentials | undefined; readonly anonymous: boolean };

  constructor(auth: Bearer, accounts: { credentials: Credentials | undefined; anonymous: boolean }) {
    this.#auth = auth;
    this.#accounts = accounts;
  }

  /** Forgets every token: the next use of one is answered 401. */
  revoke(): void {
    this.#granted.clear();
  }

  /** True where the header carries a token that allows `scope`. */
  allows(authorization: string | undefined, scope: string): boolean {
    const scopes = this.#read(authorization)?.scopes;
    return scopes !== undefined && (scope === '' || scopes.has(scope));
  }

  /** True where the header carries no token that was given for a password. */
  isAnonymous(authorization: string | undefined): boolean {
    return this.#read(authorization)?.anonymous ?? true;
  }

  /** GET with scopes and Basic, or POST as OAuth 2 (distribution, "Token Authentication Specification"). */
  async answer(exchange: Exchange): Promise<void> {
    const { request, url } = exchange;
    if (request.method === 'POST' && !this.#auth.post) return sendStatus(exchange, 404);
    const form = request.method === 'POST' ? new URLSearchParams(await readText(exchange)) : url.searchParams;
    const shown =
      request.method === 'POST'
        ? form.has('password') && { username: form.get('username'), password: form.get('password') }
        : readBasic(request.headers.authorization);
    const known = this.#accounts.credentials;
    if (shown && (shown.username !== known?.username || shown.password !== known?.password)) {
      return sendStatus(exchange, 401, { code: 'UNAUTHORIZED' });
    }
    const scopes = form.getAll('scope').flatMap((scope) => scope.split(' '));
    // Less than was asked for is a narrower grant, not an error.
    const granted =
      shown || this.#accounts.anonymous ? scopes.map((scope) => scope.replace(/:pull,push$/, ':pull')) : [];
    const token = `canary-token-${randomUUID()}`;
    this.#granted.set(token, { scopes: new Set(granted), anonymous: !shown });
    await sendJson(exchange, {
      ...(this.#auth.field === 'access_token' ? {} : { token }),
      ...(this.#auth.field === 'token' ? {} : { access_token: token }),
      ...(this.#auth.expiresIn === undefined ? {} : { expires_in: this.#auth.expiresIn }),
      issued_at: new Date().toISOString(),
    });
  }

  #read(authorization: string | undefined) {
    const token = /^Bearer (.+)$/i.exec(authorization ?? '')?.[1];
    return token === undefined ? undefined : this.#granted.get(token);
  }
}

/** Reads `Authorization: Basic`. */
export function readBasic(authorization: string | undefined): Credentials | undefined {
  const encoded = /^Basic (.+)$/i.exec(authorization ?? '')?.[1];
  if (encoded === undefined) return undefined;
  const [username = '', ...rest] = Buffer.from(encoded, 'base64').toString().split(':');
  return { username, password: rest.join(':') };
}

/** Answers 200 with JSON. */
export function sendJson(exchange: Exchange, value: unknown, headers: Record<string, string> = {}): Promise<void> {
  return sendStatus(exchange, 200, { body: JSON.stringify(value), headers });
}

async function readText({ request }: Exchange): Promise<string> {
  let text = '';
  for await (const chunk of request) {
    text += String(chunk);
    if (text.length > 64 * 1024) throw new RangeError('Cannot read a form of more than 64 KiB');
  }
  return text;
}
