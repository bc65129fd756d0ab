import { etagsMatch, httpDate } from './validator.ts';

/** The client's headers of these names. */
export interface Conditions {
  readonly ifMatch?: string | undefined;
  readonly ifNoneMatch?: string | undefined;
  readonly ifModifiedSince?: string | undefined;
  readonly ifUnmodifiedSince?: string | undefined;
}

/**
 * The status of an answer with these headers under the conditions of a GET or HEAD (RFC 9110, section 13.2.2). Evaluate it
 * before any Range. A malformed condition counts as not sent.
 */
export function evaluateConditions(
  { ifMatch, ifNoneMatch, ifModifiedSince, ifUnmodifiedSince }: Conditions,
  headers: Readonly<Record<string, string>>,
): 200 | 304 | 412 {
  const etag = headers['etag'];
  const modified = httpDate(headers['last-modified']);
  if (ifMatch !== undefined) {
    if (!isListed(ifMatch, etag, { weakly: false })) return 412;
  } else {
    const before = httpDate(ifUnmodifiedSince);
    if (before !== undefined && modified !== undefined && modified > before) return 412;
  }
  if (ifNoneMatch !== undefined) return isListed(ifNoneMatch, etag, { weakly: true }) ? 304 : 200;
  const since = httpDate(ifModifiedSince);
  return since !== undefined && modified !== undefined && modified <= since ? 304 : 200;
}

/**
 * Whether a Range may be honoured under an `If-Range` (RFC 9110, section 13.1.5): where there is none, or it names the stored
 * version. A date counts only where it equals the `Last-Modified`.
 */
export function holdsIfRange(ifRange: string | undefined, headers: Readonly<Record<string, string>>): boolean {
  if (ifRange === undefined) return true;
  const text = ifRange.trim();
  if (text.endsWith('"')) return etagsMatch(text, headers['etag'], { weakly: false });
  const date = httpDate(text);
  return date !== undefined && date === httpDate(headers['last-modified']);
}

const ENTITY_TAG = /(?:W\/)?"[\x21\x23-\x7e\x80-\xff]*"/g;

function isListed(list: string, etag: string | undefined, how: { readonly weakly: boolean }): boolean {
  if (list.trim() === '*') return true;
  return (list.match(ENTITY_TAG) ?? []).some((each) => etagsMatch(each, etag, how));
}
