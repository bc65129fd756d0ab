import type { UrlRecord } from '../../store/index.ts';
import { isCurrent } from '../time-span.ts';
import { httpDate, strongValidator } from './validator.ts';

// Which answers by URL may be kept, and how long they are fresh (RFC 9111). Stricter than the RFC where it leaves a choice:
// an answer without a strong validator is not kept, since two versions of it could be mixed.

type Headers = Readonly<Record<string, string>>;

/** The `freshUntil` of a record that is never revalidated. */
export const FOR_EVER = Number.MAX_SAFE_INTEGER;

/** The most characters of a URL, of all headers stored with it, and of one of them. */
const MAX_URL = 4096;
const MAX_HEADERS = 8192;
const MAX_HEADER = 2048;

/** The headers that are stored. The others belong to the connection or to one client, or are of no use later. */
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

/** The headers that decide what may be done with an answer: one that is too long to store forbids keeping the answer. */
const RULING_HEADERS = ['age', 'cache-control', 'date', 'etag', 'expires', 'last-modified', 'vary'];

/** The headers in a `Vary` that are alike in all requests: each asks for `identity`, and with an `Origin` none comes here. */
const SAME_FOR_ALL: ReadonlySet<string> = new Set(['accept-encoding', 'origin']);

/**
 * The headers in a `Vary` that an impersonal request does not have. Its answer is for all requests without them, and a
 * request with them is confirmed on its own (RFC 9111, section 4.1).
 */
const ONLY_PERSONAL: ReadonlySet<string> = new Set(['authorization', 'cookie']);

/** What decides whether an answer is kept. */
interface UrlJudgement {
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

/** Why the answer to a GET is not kept; undefined: it may be kept. */
export function whyNotKept({ url, status, headers, length, personal, immutable }: UrlJudgement): string | undefined {
  if (status !== 200) return `its status is ${status}`;
  if (url.length > MAX_URL) return 'its URL is too long';
  if (length === undefined && headers['transfer-encoding'] === undefined) return 'nothing says where it ends';
  const forOne = whyNotShared(headers, { personal });
  if (forOne !== undefined) return forOne;
  const isTooLong = RULING_HEADERS.some((name) => (headers[name]?.length ?? 0) > MAX_HEADER);
  if (isTooLong || weigh(keptHeaders(headers)) > MAX_HEADERS) return 'its headers are too long';
  if (strongValidator(headers) !== undefined || immutable || cacheControl(headers).has('immutable')) return undefined;
  return 'nothing tells its versions apart';
}

/**
 * Why an answer with these headers is for the request alone that asked for it; undefined: others may have it too. It holds
 * for a new answer as for a 304 or a HEAD that confirms a stored one (RFC 9111, sections 3, 3.5 and 4.1).
 */
export function whyNotShared(headers: Headers, { personal }: Pick<UrlJudgement, 'personal'>): string | undefined {
  const directives = cacheControl(headers);
  if (directives.has('no-store')) return 'it says no-store';
  if (directives.has('private')) return 'it says private';
  if (headers['set-cookie'] !== undefined || headers['set-cookie2'] !== undefined) return 'it sets a cookie';
  const encoding = headers['content-encoding'];
  if (encoding !== undefined && encoding.trim().toLowerCase() !== 'identity') return `it is encoded with ${encoding}`;
  const vary = variations(headers).find((name) => !SAME_FOR_ALL.has(name) && (personal || !ONLY_PERSONAL.has(name)));
  if (vary !== undefined) return `it varies by ${vary}`;
  // RFC 9111, section 3.5. It allows must-revalidate as well, which does not say that the answer is public; no more does an
  // immutable name.
  if (personal && !isPublic(directives)) return 'its request may say who asks, and it is not declared public';
  return undefined;
}

/** The headers that are stored with an answer. */
export function keptHeaders(headers: Headers): Headers {
  return Object.fromEntries(
    Object.entries(headers).filter(([name, value]) => KEPT_HEADERS.has(name) && value.length <= MAX_HEADER),
  );
}

/**
 * Stored headers, updated by those of a confirmation that arrived at `now` (RFC 9111, section 3.2). The stored entity tag
 * stays: a 304 may repeat it as a weak one.
 */
export function renewedHeaders(kept: Headers, renewed: Headers, now: number): Headers {
  const { age: _, ...rest } = kept;
  // A confirmation without a date is dated when it arrives (RFC 9110, section 6.6.1).
  const date = rest['date'] === undefined ? {} : { date: new Date(now).toUTCString() };
  const { etag: __, ...said } = keptHeaders(renewed);
  const merged = { ...rest, ...date, ...said };
  if (weigh(merged) <= MAX_HEADERS) return merged;
  // Where they become too long, of the new ones only those are taken over that say what may be done with the answer.
  const ruling = Object.entries(said).filter(([name]) => RULING_HEADERS.includes(name));
  return { ...rest, ...date, ...Object.fromEntries(ruling) };
}

/**
 * Until when an answer with these headers, received at `now`, is fresh (RFC 9111, section 4.2); 0: it is revalidated each
 * time. There is no heuristic freshness: revalidation is cheap.
 */
export function freshUntil(headers: Headers, now: number): number {
  const directives = cacheControl(headers);
  if (directives.has('no-cache')) return 0;
  const lifetime = lifetimeOf(headers, directives);
  if (lifetime === undefined) return directives.has('immutable') ? FOR_EVER : 0;
  return Math.min(Math.max(0, Math.floor(now + lifetime - initialAge(headers, now))), FOR_EVER);
}

/** True while a record is fresh. A clock that is set back does not end a record that never expires. */
export function isFreshUrl({ checkedAt, freshUntil: until }: UrlRecord, now: number): boolean {
  return until === FOR_EVER || isCurrent({ since: checkedAt, until }, now);
}

/** Seconds since the origin generated the answer, across all caches on the way; see the `Age` header. */
export function ageOf({ checkedAt, headers }: Pick<UrlRecord, 'checkedAt' | 'headers'>, now: number): number {
  return Math.max(0, Math.floor((now - checkedAt + initialAge(headers, checkedAt)) / 1000));
}

/** Whether an answer may be served stale (RFC 9111, section 4.2.4). */
export function mayBeServedStale(headers: Headers): boolean {
  const directives = cacheControl(headers);
  return !['must-revalidate', 'proxy-revalidate', 's-maxage', 'no-cache'].some((each) => directives.has(each));
}

/** Directives that restrict: one response on the way is enough to restrict the whole. */
const RESTRICTIONS = ['no-store', 'private', 'no-cache', 'must-revalidate', 'proxy-revalidate'];

/**
 * The headers of an answer behind redirects, as those of the requested URL: no longer fresh, and no more public, than every
 * redirect on the way. A file may be immutable and `public` under its own URL, while the requested URL leads elsewhere
 * tomorrow, or leads only some clients there. What a redirect varies by, the whole varies by, and what sets a cookie on the
 * way sets it for one client.
 *
 * @param redirects their headers, in order
 */
export function headersBehind(
  redirects: readonly Headers[],
  answer: Headers,
  { now }: { readonly now: number },
): Headers {
  if (redirects.length === 0) return answer;
  const all = [...redirects, answer].map((each) => ({ headers: each, directives: cacheControl(each) }));
  const vary = [...new Set(all.flatMap(({ headers: each }) => variations(each)))].join(', ');
  const cookie = redirects.map((each) => each['set-cookie'] ?? each['set-cookie2']).find((each) => each !== undefined);
  const headers: Headers = {
    ...answer,
    ...(vary === '' ? {} : { vary }),
    ...(cookie === undefined ? {} : { 'set-cookie': cookie }),
  };
  const isSaid = all.some(({ headers: each, directives }) => directives.size > 0 || each['expires'] !== undefined);
  if (!isSaid) return headers;
  const lifetimes = all.map(({ headers: each, directives }, i) => {
    const lifetime = lifetimeOf(each, directives) ?? (directives.has('immutable') ? FOR_EVER : 0);
    // The answer itself keeps its `Age` header.
    return i < redirects.length ? Math.max(0, lifetime - initialAge(each, now)) : lifetime;
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

/** Whether the answer is declared public, also for requests with credentials. */
function isPublic(directives: ReadonlyMap<string, string>): boolean {
  return directives.has('public') || directives.has('s-maxage');
}

/** `Cache-Control` with names in lower case and without quotes; of a repeated directive the first counts. */
function cacheControl(headers: Headers): ReadonlyMap<string, string> {
  const directives = new Map<string, string>();
  for (const [, name = '', quoted, plain] of (headers['cache-control'] ?? '').matchAll(DIRECTIVE)) {
    if (!directives.has(name.toLowerCase())) directives.set(name.toLowerCase(), quoted ?? plain ?? '');
  }
  return directives;
}

const DIRECTIVE = /([!#$%&'*+\-.^_`|~\w]+)(?:\s*=\s*(?:"([^"]*)"|([^\s,;"]*)))?/g;

/** Milliseconds; undefined where no header says. A malformed value means 0. */
function lifetimeOf(headers: Headers, directives: ReadonlyMap<string, string>): number | undefined {
  const seconds = directives.get('s-maxage') ?? directives.get('max-age');
  if (seconds !== undefined) return /^\d{1,15}$/.test(seconds) ? Number(seconds) * 1000 : 0;
  if (headers['expires'] === undefined) return undefined;
  const expires = httpDate(headers['expires']);
  const date = httpDate(headers['date']);
  return expires === undefined || date === undefined ? 0 : Math.max(0, expires - date);
}

/**
 * The age of an answer on its arrival, in milliseconds: the larger of its `Age` and of the time since its `Date`, in whole
 * seconds (RFC 9111, section 4.2.3).
 */
function initialAge(headers: Headers, receivedAt: number): number {
  const age = headers['age'] ?? '';
  const date = httpDate(headers['date']);
  const apparent = date === undefined ? 0 : Math.floor((receivedAt - date) / 1000) * 1000;
  return Math.max(/^\d{1,10}$/.test(age) ? Number(age) * 1000 : 0, apparent);
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
