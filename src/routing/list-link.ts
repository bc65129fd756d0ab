import type { Addressing } from './name.ts';

/** What follows the addressing in the URL of a list. */
export interface ListPage {
  /** The repository as the client wrote it and the operation: `owner/image/tags/list`, or `_catalog`. */
  readonly tail: string;
  /** The query of the next page, without `?`, as the upstream gave it. */
  readonly query: string;
}

/** Longer, and the header would not fit what clients accept. */
const MAX_LINK_LENGTH = 4096;

/**
 * The `Link` header to the next page of a list, in the client's own way of naming the registry (RFC 8288;
 * distribution-spec, "Listing tags"). Relative to the host, so it holds behind any reverse proxy.
 *
 * The query is another registry's word: it is taken apart and written anew, so that nothing in it can leave the URL, and
 * its `ns` gives way to the client's.
 *
 * @returns undefined where the link would be too long to be sent
 */
export function nextLink(addressing: Addressing, page: ListPage): string | undefined {
  if (page.query.length > MAX_LINK_LENGTH) return undefined;
  const query = new URLSearchParams(page.query);
  query.delete('ns');
  if (addressing.ns !== undefined) query.set('ns', addressing.ns);
  const separator = query.size === 0 ? '' : '?';
  const link = `<${addressing.prefix}${page.tail}${separator}${query.toString()}>; rel="next"`;
  return link.length > MAX_LINK_LENGTH ? undefined : link;
}
