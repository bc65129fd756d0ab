import { filterQuery, sendableQuery } from '../lib/index.ts';
import type { Addressing } from './name.ts';

/** The rest of the URL of a list, after the addressing. */
interface ListPage {
  /** The repository, as the client wrote it, and the operation: `owner/image/tags/list`, or `_catalog`. */
  readonly tail: string;
  /** The query of the next page, without `?`, as the upstream gave it. */
  readonly query: string;
}

/** Clients limit the length of headers. */
const MAX_LINK_LENGTH = 4096;

/**
 * The `Link` header for the next page of a list, with the client's own addressing of the registry (RFC 8288;
 * distribution-spec, "Listing tags"). It is relative to the host, so it works behind any reverse proxy.
 *
 * The query comes from the upstream and stays as it was written, but for what would break out of the URL, and for its `ns`,
 * which is replaced by the client's.
 *
 * @returns undefined if the link would be too long
 */
export function nextLink(addressing: Addressing, page: ListPage): string | undefined {
  if (page.query.length > MAX_LINK_LENGTH) return undefined;
  const own = filterQuery(sendableQuery(page.query), (name) => name !== 'ns');
  const ns = addressing.ns === undefined ? '' : new URLSearchParams({ ns: addressing.ns }).toString();
  const query = [own, ns].filter((each) => each !== '').join('&');
  const link = `<${addressing.prefix}${page.tail}${query === '' ? '' : '?'}${query}>; rel="next"`;
  return link.length > MAX_LINK_LENGTH ? undefined : link;
}
