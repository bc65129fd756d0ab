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
 * The query comes from the upstream: it is parsed and formatted again, so that it cannot break out of the URL, and its
 * `ns` is replaced by the client's.
 *
 * @returns undefined if the link would be too long
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
