import { createHash } from 'node:crypto';
import { hrefOf, type WrittenUrl } from '../net/index.ts';
import type { MirrorSpec } from '../upstream/index.ts';

/** The headers, credentials and certificate of a route that has none. */
const SHOWS_NOTHING = JSON.stringify([{}, undefined, undefined]);

/**
 * The site's URL as the cache knows it. Behind a `#`, which no URL that is asked for has, stands what else the answer depends
 * on: the client's `Host` where the site gets it, and a hash of what the route itself shows to the site.
 */
export function cacheUrlOf(
  site: WrittenUrl,
  { route, host }: { readonly route: MirrorSpec; readonly host: string | undefined },
): string {
  const also = new URLSearchParams();
  if (host !== undefined) also.set('host', host);
  const { headers, credentials, transport } = route.upstream;
  const shown = JSON.stringify([headers, credentials, transport.upstream.tls.certFile]);
  if (shown !== SHOWS_NOTHING) also.set('as', createHash('sha256').update(shown).digest('base64url'));
  const href = hrefOf(site);
  return also.size === 0 ? href : `${href}#${also.toString()}`;
}
