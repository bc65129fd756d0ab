import { filterQuery } from '../../lib/index.ts';
import { parseJsonObject } from '../json.ts';
import { basicAuthorization, type Credential, IDENTITY_TOKEN_USER } from './credential.ts';

/** What a Bearer challenge demands a token for. */
export interface TokenQuestion {
  /** The token service, as {@link decideRealm} allowed it. */
  readonly realm: URL;
  readonly service: string | undefined;
  /** One or more, separated by spaces; empty where the challenge names none. */
  readonly scope: string;
}

export interface TokenHttpRequest {
  readonly method: 'GET' | 'POST';
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string;
}

export interface GrantedToken {
  readonly token: string;
  /** Milliseconds of validity. */
  readonly life: number;
}

/**
 * The request for a token: GET with one `scope` each, anonymous or with Basic (distribution, "Token authentication"). An
 * identity token is a refresh token, which only the OAuth2 form takes: POST with `grant_type=refresh_token`.
 */
export function tokenRequest(question: TokenQuestion, credential: Credential | undefined): TokenHttpRequest {
  const { realm, service } = question;
  const scopes = question.scope.split(' ').filter((each) => each !== '');
  if (credential?.username === IDENTITY_TOKEN_USER) {
    const form = new URLSearchParams({ grant_type: 'refresh_token', client_id: 'entrepot' });
    if (service !== undefined) form.set('service', service);
    if (scopes.length > 0) form.set('scope', scopes.join(' '));
    form.set('refresh_token', credential.password);
    return {
      method: 'POST',
      url: realm,
      headers: { accept: 'application/json', 'content-type': 'application/x-www-form-urlencoded' },
      body: form.toString(),
    };
  }
  const url = new URL(realm);
  const added = new URLSearchParams(service === undefined ? {} : { service });
  for (const scope of scopes) added.append('scope', scope);
  // What the realm has in its query stays as the registry wrote it.
  const own = filterQuery(url.search.slice(1), (name) => name !== 'service' || service === undefined);
  url.search = [own, added.toString()].filter((each) => each !== '').join('&');
  const headers: Record<string, string> = { accept: 'application/json' };
  if (credential !== undefined) headers['authorization'] = basicAuthorization(credential);
  return { method: 'GET', url, headers };
}

const DEFAULT_LIFE_S = 60;
// A token valid for half a day (ECR) is renewed each hour, so that a revoked permission is noticed.
const MAX_LIFE_S = 3600;
const MAX_TOKEN = 32 * 1024;

/**
 * Reads a token service's answer: `token` or `access_token`, and `expires_in` seconds (60 where absent, as Quay's is).
 *
 * `issued_at` is ignored: it is another machine's clock.
 *
 * @returns undefined without a token that fits into a header
 */
export function parseTokenReply(body: Buffer): GrantedToken | undefined {
  const reply = parseJsonObject(body);
  const token = [reply?.['token'], reply?.['access_token']].find((each) => typeof each === 'string' && each !== '');
  if (typeof token !== 'string' || token.length > MAX_TOKEN || !/^[\x21-\x7e]+$/.test(token)) return undefined;
  const expiresIn = reply?.['expires_in'];
  const seconds = typeof expiresIn === 'number' && expiresIn > 0 ? expiresIn : DEFAULT_LIFE_S;
  return { token, life: Math.min(seconds, MAX_LIFE_S) * 1000 };
}
