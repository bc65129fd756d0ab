import type { UrlRecord } from '../../store/index.ts';
import { isCurrent } from '../time-span.ts';
import { httpDate, strongValidator } from './validator.ts';

// What may be kept of an answer by URL, and how long it holds (RFC 9111). Stricter than it asks where it leaves a choice:
// what cannot be told apart by a strong validator is not kept, since two versions of it could be mixed.

type Headers = Readonly<Record<string, string>>;

/** A record that never has to be confirmed. */
export const FOR_EVER = Number.MAX_SAFE_INTEGER;

/** Characters of a URL that something is kept under; of the headers kept with it, all together; and of one of them. */
const MAX_URL = 4096;
const MAX_HEADERS = 8192;
const MAX_HEADER = 2048;

/** The headers that outlive their connection. What is not here is of the connection, of one client, or of no use later. */
const KEPT_HEADERS: ReadonlySet<string> = new Set([
  'accept-ranges',
  'age',
  'cache-control',
  'content-disposition',
  'content-language',
  'content-md5',
  'content-type',
  'date',
  'digest',
  'docker-content-digest',
  'etag',
  'expires',
  'last-modified',
  'link',
  'repr-digest',
  'vary',
  'x-linked-etag',
  'x-linked-size',
  'x-repo-commit',
]);

/**
 * The headers by which answers may differ and be kept all the same: only `identity` is asked for, requests with credentials
 * are confirmed each for itself, and those with an `Origin` do not come here.
 */
const HARMLESS_VARIATIONS: ReadonlySet<string> = new Set(['accept-encoding', 'authorization', 'cookie', 'origin']);

/** What an answer is judged by. */
export interface UrlJudgement {
  readonly url: string;
  readonly status: number;
  readonly headers: Headers;
  /** See UrlResponse. */
  readonly length: number | undefined;
  /** See UrlRequest.personal. */
  readonly personal: boolean;
  /** See UrlRules.immutable. */
  readonly immutable: boolean;
}

/** Why the answer to a GET is not kept; undefined: it may be. */
export function whyNotKept({ url, status, headers, length, personal, immutable }: UrlJudgement): string | undefined {
  if (status !== 200) return `its status is ${status}`;
  if (url.length > MAX_URL) return 'its URL is too long';
  if (length === undefined && headers['transfer-encoding'] === undefined) return 'nothing says where it ends';
  const directives = cacheControl(headers);
  if (directives.has('no-store')) return 'it says no-store';
  if (directives.has('private')) return 'it says private';
  if (headers['set-cookie'] !== undefined) return 'it sets a cookie';
  const encoding = headers['content-encoding'];
  if (encoding !== undefined && encoding.trim().toLowerCase() !== 'identity') return `it is encoded with ${encoding}`;
  const vary = variations(headers).find((name) => !HARMLESS_VARIATIONS.has(name));
  if (vary !== undefined) return `it varies by ${vary}`;
  // RFC 9111, section 3.5; a must-revalidate, which it allows as well, says nothing of who may see it, nor does a name that never changes.
  if (personal && !isPublic(directives)) {
    return 'it was asked for with credentials, and is not declared public';
  }
  if (weigh(keptHeaders(headers)) > MAX_HEADERS) return 'its headers are too long';
  if (strongValidator(headers) !== undefined || immutable || directives.has('immutable')) return undefined;
  return 'nothing tells its versions apart';
}

/** The headers that are kept with an answer, and given with it later. */
export function keptHeaders(headers: Headers): Headers {
  return Object.fromEntries(
    Object.entries(headers).filter(([name, value]) => KEPT_HEADERS.has(name) && value.length <= MAX_HEADER),
  );
}

/** The headers of what is kept, after a 304 with these (RFC 9111, section 3.2). */
export function renewedHeaders(kept: Headers, renewed: Headers): Headers {
  const { age: _, ...rest } = kept;
  const merged = { ...rest, ...keptHeaders(renewed) };
  // What grew too long meanwhile is no reason to forget the rest.
  return weigh(merged) > MAX_HEADERS ? kept : merged;
}

/**
 * Until when an answer with these headers, that came at `now`, need not be confirmed (RFC 9111, section 4.2); 0: it has to be
 * each time. Nothing is guessed from how old it is: to ask is cheap.
 */
export function freshUntil(headers: Headers, now: number): number {
  const directives = cacheControl(headers);
  if (directives.has('no-cache')) return 0;
  const lifetime = lifetimeOf(headers, directives);
  if (lifetime === undefined) return directives.has('immutable') ? FOR_EVER : 0;
  return Math.min(Math.max(0, Math.floor(now + lifetime - initialAge(headers))), FOR_EVER);
}

/** True while a record is fresh. A clock that is set back does not end a record that never expires. */
export function isFreshUrl({ checkedAt, freshUntil: until }: UrlRecord, now: number): boolean {
  return until === FOR_EVER || isCurrent({ since: checkedAt, until }, now);
}

/** Seconds since the answer was given, by whomever it came through; see the `Age` header. */
export function ageOf({ checkedAt, headers }: UrlRecord, now: number): number {
  return Math.max(0, Math.floor((now - checkedAt + initialAge(headers)) / 1000));
}

/** Seconds that an answer was old already when it came just now; undefined where it was given just now. */
export function ageOnArrival(headers: Headers): number | undefined {
  const age = initialAge(headers);
  return age === 0 ? undefined : age / 1000;
}

/** Whether it may be served although its upstream cannot confirm it (RFC 9111, section 4.2.4). */
export function mayBeServedStale(headers: Headers): boolean {
  const directives = cacheControl(headers);
  return !['must-revalidate', 'proxy-revalidate', 's-maxage', 'no-cache'].some((each) => directives.has(each));
}

/** What forbids something, so that it holds for the whole way where it is said anywhere on it. */
const RESTRICTIONS = ['no-store', 'private', 'no-cache', 'must-revalidate', 'proxy-revalidate'];

/**
 * The headers of an answer that redirects led to, as those of the URL that was asked for: no longer fresh, and no more public,
 * than every redirect on the way. A file may never change where it lies and be `public` to whoever was led there, while the
 * name that leads to it leads elsewhere tomorrow, and not everyone.
 *
 * @param redirects their headers, in order
 */
export function headersBehind(redirects: readonly Headers[], headers: Headers): Headers {
  if (redirects.length === 0) return headers;
  const all = [...redirects, headers].map((each) => ({ headers: each, directives: cacheControl(each) }));
  const isSaid = all.some(({ headers: each, directives }) => directives.size > 0 || each['expires'] !== undefined);
  if (!isSaid) return headers;
  const lifetimes = all.map(({ headers: each, directives }, i) => {
    const lifetime = lifetimeOf(each, directives) ?? (directives.has('immutable') ? FOR_EVER : 0);
    // The answer's own age goes on being said by its `Age`.
    return i < redirects.length ? Math.max(0, lifetime - initialAge(each)) : lifetime;
  });
  const lifetime = Math.min(...lifetimes);
  const said = RESTRICTIONS.filter((name) => all.some(({ directives }) => directives.has(name)));
  // An s-maxage forbids serving it stale (RFC 9111, section 5.2.2.10).
  const isShared = all.some(({ directives }) => directives.has('s-maxage'));
  if (isShared && !said.includes('proxy-revalidate')) said.push('proxy-revalidate');
  if (all.every(({ directives }) => isPublic(directives))) said.push('public');
  if (all.every(({ directives }) => directives.has('immutable'))) said.push('immutable');
  if (lifetime < FOR_EVER) said.push(`max-age=${Math.floor(lifetime / 1000)}`);
  const { expires: _, ...rest } = headers;
  return { ...rest, 'cache-control': said.join(', ') };
}

/** Whether it is said to be for everyone, whoever asked. */
function isPublic(directives: ReadonlyMap<string, string>): boolean {
  return directives.has('public') || directives.has('s-maxage');
}

/** `Cache-Control`, its names in lower case; quotes are taken off, and of what is said twice the first holds. */
function cacheControl(headers: Headers): ReadonlyMap<string, string> {
  const directives = new Map<string, string>();
  for (const [, name = '', quoted, plain] of (headers['cache-control'] ?? '').matchAll(DIRECTIVE)) {
    if (!directives.has(name.toLowerCase())) directives.set(name.toLowerCase(), quoted ?? plain ?? '');
  }
  return directives;
}

const DIRECTIVE = /([!#$%&'*+\-.^_`|~\w]+)(?:\s*=\s*(?:"([^"]*)"|([^\s,;"]*)))?/g;

/** Milliseconds; undefined where nothing is said. What is malformed is stale at once. */
function lifetimeOf(headers: Headers, directives: ReadonlyMap<string, string>): number | undefined {
  const seconds = directives.get('s-maxage') ?? directives.get('max-age');
  if (seconds !== undefined) return /^\d{1,15}$/.test(seconds) ? Number(seconds) * 1000 : 0;
  if (headers['expires'] === undefined) return undefined;
  const expires = httpDate(headers['expires']);
  const date = httpDate(headers['date']);
  return expires === undefined || date === undefined ? 0 : Math.max(0, expires - date);
}

/** Milliseconds that the answer was old when it came. */
function initialAge(headers: Headers): number {
  const age = headers['age'] ?? '';
  return /^\d{1,10}$/.test(age) ? Number(age) * 1000 : 0;
}

function variations(headers: Headers): readonly string[] {
  return (headers['vary'] ?? '')
    .split(',')
    .map((name) => name.trim().toLowerCase())
    .filter((name) => name !== '');
}

function weigh(headers: Headers): number {
  return Object.entries(headers).reduce((sum, [name, value]) => sum + name.length + value.length, 0);
}
