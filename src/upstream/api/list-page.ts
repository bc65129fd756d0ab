import type { ListQuery } from '../../oci/index.ts';

/** The largest page requested; a client that wants more gets a page and a link. */
const MAX_LIMIT = 10_000;
const MAX_QUERY = 2048;
const MAX_PARAMS = 16;

/** The query of a page: with `?`, or empty. */
export function listQueryString(query: ListQuery): string {
  const params = query.page === undefined ? new URLSearchParams() : new URLSearchParams(pageQuery(query.page) ?? '');
  if (query.kind === 'referrers') {
    if (query.artifactType !== undefined) params.set('artifactType', query.artifactType);
  } else if (params.size === 0) {
    if (query.limit !== undefined) params.set('n', String(query.limit));
    if (query.last !== undefined) params.set('last', query.last);
  }
  const limit = params.get('n');
  if (limit !== null && Number(limit) > MAX_LIMIT) params.set('n', String(MAX_LIMIT));
  return params.size === 0 ? '' : `?${params.toString()}`;
}

const NEXT_LINK = /<([^<>]{1,4096})>((?:[ \t]*;[ \t]*[^,;<>]{1,256}){1,8})/g;

/**
 * The query of the next page in a `Link` header (RFC 8288), or undefined.
 *
 * Only the query is used: scheme, host and path are the upstream's own, and a link must not lead to another list.
 */
export function nextPage(header: string | undefined): string | undefined {
  if (header === undefined || header.length > 4 * MAX_QUERY) return undefined;
  for (const [, target = '', params = ''] of header.matchAll(NEXT_LINK)) {
    if (!/;[ \t]*rel[ \t]*=[ \t]*"?next"?[ \t]*(?:;|$)/i.test(params)) continue;
    const request = target.indexOf('?');
    return request < 0 ? undefined : pageQuery(target.slice(request + 1).split('#', 1)[0] ?? '');
  }
  return undefined;
}

/** A page's query, re-encoded and bounded, without `ns`, which only our own clients send. */
function pageQuery(text: string): string | undefined {
  if (text.length > MAX_QUERY) return undefined;
  const params = new URLSearchParams(text);
  params.delete('ns');
  return params.size === 0 || params.size > MAX_PARAMS ? undefined : params.toString();
}
