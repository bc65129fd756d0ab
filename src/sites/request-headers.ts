import type { IncomingMessage } from 'node:http';
import type { UrlOpen } from '../cache/index.ts';
import { endToEndHeaders } from '../server/index.ts';

/**
 * Headers of a request that the site does not get: those of this connection, those that tell how the request came here (as
 * all of `X-Forwarded-*` do), and those that make some sites read another method or path than the client asked for.
 */
const NOT_SENT = [
  'accept-encoding',
  'cf-connecting-ip',
  'content-length',
  'expect',
  'forwarded',
  'host',
  'true-client-ip',
  'via',
  'x-client-ip',
  'x-cluster-client-ip',
  'x-host',
  'x-http-method',
  'x-http-method-override',
  'x-method-override',
  'x-original-host',
  'x-original-url',
  'x-real-ip',
  'x-request-id',
  'x-rewrite-url',
];

/** Names of headers that hold a credential: the standard ones, and those that sites invent. */
const CREDENTIAL =
  /^(?:authorization|cookie|x-jfrog-art-api)$|(?:^|-)(?:api-?key|auth|key|password|secret|session|signature|token)(?:-|$)/;

/** Headers that the cache sets itself when it asks the site. */
const CONDITIONS = new Set([
  'if-match',
  'if-modified-since',
  'if-none-match',
  'if-range',
  'if-unmodified-since',
  'range',
]);

/** The client's headers as the site gets them, by lower-case names. */
export function requestHeaders(request: IncomingMessage): Record<string, string> {
  const raw = endToEndHeaders(request.rawHeaders, NOT_SENT);
  const headers: Record<string, string> = {};
  for (let i = 0; i + 1 < raw.length; i += 2) {
    const name = (raw[i] ?? '').toLowerCase();
    if (name.startsWith('x-forwarded-')) continue;
    const value = raw[i + 1] ?? '';
    const earlier = headers[name];
    headers[name] = earlier === undefined ? value : `${earlier}${name === 'cookie' ? '; ' : ', '}${value}`;
  }
  return headers;
}

/** Whether a request carries a credential, so that its answer may be for this client only. */
export function hasCredential(headers: Readonly<Record<string, string>>): boolean {
  return Object.keys(headers).some((name) => CREDENTIAL.test(name));
}

/** The headers of a request on behalf of the cache: the client's, with the cache's own condition or range. */
export function cacheRequestHeaders(
  given: Readonly<Record<string, string>>,
  { headers, offset = 0, validator }: UrlOpen,
): Record<string, string> {
  const own: Record<string, string> = {};
  for (const [name, value] of Object.entries(given)) if (!CONDITIONS.has(name)) own[name] = value;
  Object.assign(own, headers);
  if (offset > 0) own['range'] = `bytes=${offset}-`;
  if (offset > 0 && validator !== undefined) own['if-range'] = validator;
  return own;
}
