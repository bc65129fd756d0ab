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

/**
 * The headers of a request that cannot say who asks, of those that common clients send for public files. Any other header may
 * hold a credential, whatever its name: sites invent new names, so a list of credentials is never complete. Not among them
 * are `Referer`, whose URL may be signed and by which some sites decide who gets a file, and `Baggage`, which may name a user.
 */
const IMPERSONAL: ReadonlySet<string> = new Set([
  // RFC 9110: what is wanted, in which form, in which version.
  'accept',
  'accept-charset',
  'accept-language',
  'content-type',
  'if-match',
  'if-modified-since',
  'if-none-match',
  'if-range',
  'if-unmodified-since',
  'max-forwards',
  'range',
  'user-agent',
  // RFC 9111 and 9218: how fresh, how soon.
  'cache-control',
  'pragma',
  'priority',
  // RFC 9530 and its predecessor: digests of the answer.
  'want-content-digest',
  'want-digest',
  'want-repr-digest',
  // Fetch metadata, client hints and preferences of browsers.
  'dnt',
  'save-data',
  'sec-ch-ua',
  'sec-ch-ua-mobile',
  'sec-ch-ua-platform',
  'sec-fetch-dest',
  'sec-fetch-mode',
  'sec-fetch-site',
  'sec-fetch-user',
  'sec-gpc',
  'sec-purpose',
  'upgrade-insecure-requests',
  // Versions of protocols: Cargo, Docker, Git, GitHub.
  'cargo-protocol',
  'docker-distribution-api-version',
  'git-protocol',
  'x-github-api-version',
  // Identifiers of one request: W3C Trace Context, B3; Hugging Face's clients send that of Amazon.
  'b3',
  'traceparent',
  'tracestate',
  'x-amzn-trace-id',
  'x-b3-parentspanid',
  'x-b3-sampled',
  'x-b3-spanid',
  'x-b3-traceid',
  // Says that a download is to be counted: the same from every client of Hugging Face.
  'x-hf-download-counter',
]);

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

/** Whether a request has a header that may say who asks, so that its answer may be for this client only. */
export function mayIdentify(headers: Readonly<Record<string, string>>): boolean {
  return Object.keys(headers).some((name) => !IMPERSONAL.has(name));
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
