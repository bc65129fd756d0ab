/**
 * A URL as it was written, beside its parsed copy. Signed URLs are valid as they were written only, and a parser rewrites
 * them (`'` in a query, a bare `?`). What a URL may be used for is decided by the copy.
 */
export interface WrittenUrl {
  /** Without fragment. */
  readonly url: URL;
  /** Path and query, as they are sent in a request line. */
  readonly target: string;
}

// RFC 3986, appendix B, without the fragment. An authority ends at a backslash too, as the URL parser has it.
const REFERENCE = /^(?:([A-Za-z][A-Za-z0-9+.-]*):)?(?:\/\/([^/?#\\]*))?([^?#]*)(\?[^#]*)?/;
// oxlint-disable-next-line no-control-regex -- it looks for control characters
const CONTROL = /[\x00-\x1f\x7f]/;
const NOT_ASCII = /[^\x21-\x7e]/gu;

/**
 * Reads a URI reference in a header (RFC 3986 §4.1), relative to the URL that was asked.
 *
 * Path and query stay byte for byte, in one form for the request and for a client that gets the URL. What no URL can hold is
 * percent-encoded, byte by byte: a header is read as latin1, so raw UTF-8 becomes its usual encoding.
 *
 * @returns undefined for what is no URL, or holds a control character
 */
export function readReference(reference: string, from: WrittenUrl): WrittenUrl | undefined {
  if (CONTROL.test(reference)) return undefined;
  const text = reference.trim().toWellFormed().replace(NOT_ASCII, encoded);
  const url = URL.parse(text, from.url.href);
  if (url === null) return undefined;
  url.hash = '';
  const parsed = { url, target: `${url.pathname}${url.search}` };
  const target = targetIn(text, from.target);
  // Where the two readings differ (backslashes, `http:/host`), what was checked is what is used.
  return target !== undefined && isSame(url, URL.parse(url.origin + target)) ? { url, target } : parsed;
}

/** Scheme, host and port of the copy, then path and query as they were written. */
export function hrefOf({ url, target }: WrittenUrl): string {
  return url.origin + target;
}

function targetIn(text: string, base: string): string | undefined {
  const [, scheme, authority, path = '', query = ''] = REFERENCE.exec(text) ?? [];
  if (path.startsWith('/') && (authority !== undefined || scheme === undefined)) return path + query;
  if (authority !== undefined) return path === '' ? `/${query}` : undefined;
  if (scheme !== undefined) return undefined;
  const [before = '/'] = base.split('?', 1);
  if (path !== '') return withoutDots(before.slice(0, before.lastIndexOf('/') + 1) + path) + query;
  return query === '' ? base : before + query;
}

function isSame(url: URL, other: URL | null): boolean {
  return other?.host === url.host && other.pathname === url.pathname && other.search === url.search;
}

/** RFC 3986 §5.2.4: a relative reference may go up. */
function withoutDots(path: string): string {
  const kept: string[] = [];
  const segments = path.split('/').slice(1);
  for (const [index, segment] of segments.entries()) {
    const isLast = index === segments.length - 1;
    if (segment === '..') kept.pop();
    if (segment !== '.' && segment !== '..') kept.push(segment);
    else if (isLast) kept.push('');
  }
  return `/${kept.join('/')}`;
}

function encoded(character: string): string {
  const code = character.codePointAt(0) ?? 0;
  if (code > 0xff) return encodeURIComponent(character);
  return `%${code.toString(16).toUpperCase().padStart(2, '0')}`;
}
