/** `public_url`: every address at which clients reach this server, `http(s)://host[:port]` without a slash at the end. */
export type PublicUrls = readonly string[];

interface Asked {
  /** As in a `Host` header. */
  readonly host: string | undefined;
  readonly scheme: string;
}

/**
 * The public URL whose host a request names, if one does; where two differ in the scheme alone, that of the request's. A
 * server in front may end TLS, so the scheme decides nothing else.
 */
export function listedUrl(urls: PublicUrls, { host, scheme }: Asked): string | undefined {
  const fitting = urls.filter((url) => isHostOf(url, host));
  return fitting.find((url) => url.startsWith(`${scheme}:`)) ?? fitting[0];
}

/** As {@link listedUrl}; the first public URL where none fits. Undefined where there is none at all. */
export function publicUrlFor(urls: PublicUrls, asked: Asked): string | undefined {
  return listedUrl(urls, asked) ?? urls[0];
}

function isHostOf(url: string, host: string | undefined): boolean {
  const { protocol, host: own } = new URL(url);
  // A port that is usual for the scheme is left out in one and written in the other.
  return host !== undefined && URL.parse(`${protocol}//${host}`)?.host === own;
}
