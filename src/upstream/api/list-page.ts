import { countParameters, filterQuery, parseLinks, sendableQuery } from '../../lib/index.ts';
import type { ListQuery } from '../../oci/index.ts';

/** The largest page requested; a client that wants more gets a page and a link. */
const MAX_LIMIT = 10_000;
const MAX_QUERY = 2048;
const MAX_PARAMS = 16;

/** The query of a page: with `?`, or empty. A followed link is passed on as it was written. */
export function listQueryString(query: ListQuery): string {
  const page = query.page === undefined ? '' : (pageQuery(query.page) ?? '');
  const params = new URLSearchParams();
  if (query.kind === 'referrers') {
    if (query.artifactType !== undefined) params.set('artifactType', query.artifactType);
  } else if (page === '') {
    if (query.limit !== undefined) params.set('n', String(Math.min(query.limit, MAX_LIMIT)));
    if (query.last !== undefined) params.set('last', query.last);
  }
  const text = [page, params.toString()].filter((each) => each !== '').join('&');
  return text === '' ? '' : `?${text}`;
}

/**
 * The query of the next page in a `Link` header (RFC 8288), or undefined.
 *
 * Only the query is used: scheme, host and path are the upstream's own, and a link must not lead to another list.
 */
export function nextPage(header: string | undefined): string | undefined {
  if (header === undefined || header.length > 4 * MAX_QUERY) return undefined;
  const target = parseLinks(header).find(({ relations }) => relations.includes('next'))?.target ?? '';
  const [reference = ''] = target.trim().split('#', 1);
  const mark = reference.indexOf('?');
  return mark < 0 ? undefined : pageQuery(reference.slice(mark + 1));
}

/**
 * A page's query, bounded, without `ns`, which only our own clients send, and without more results than {@link MAX_LIMIT}.
 * The rest stays as it was written.
 */
function pageQuery(text: string): string | undefined {
  const query = filterQuery(sendableQuery(text), (name) => name !== 'ns');
  if (query.length > MAX_QUERY || query === '' || countParameters(query) > MAX_PARAMS) return undefined;
  return Number(new URLSearchParams(query).get('n')) > MAX_LIMIT
    ? [filterQuery(query, (name) => name !== 'n'), `n=${MAX_LIMIT}`].filter((each) => each !== '').join('&')
    : query;
}
