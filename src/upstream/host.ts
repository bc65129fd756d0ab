import { isIP } from 'node:net';
import { getDomain } from 'tldts';

/** A URL's host name as it is compared: lower case, without brackets or a trailing dot. */
export function hostOf(url: URL): string {
  return url.hostname.replace(/^\[|\]$/g, '').replace(/\.$/, '');
}

/** True for what no registrable domain stands behind: an IP address, `localhost`, a name without a dot. */
export function isLocalName(host: string): boolean {
  return isIP(host) !== 0 || host === 'localhost' || host.endsWith('.localhost') || !host.includes('.');
}

/**
 * The domain that somebody registered (`docker.io` of `auth.docker.io`); undefined where there is none.
 *
 * The private part of the public-suffix list counts: `a.github.io` and `b.github.io` belong to different people.
 */
export function registrableDomain(host: string): string | undefined {
  return getDomain(host, { allowPrivateDomains: true }) ?? undefined;
}

/** True where one of the patterns names the URL's host: `host`, `host:port` or `*.suffix`. */
export function isHostListed(patterns: readonly string[], url: URL): boolean {
  const host = hostOf(url);
  return patterns.some((each) => {
    const pattern = each.toLowerCase();
    if (pattern.startsWith('*.')) return host.endsWith(pattern.slice(1));
    return pattern === host || pattern === url.host || pattern === `${host}:${portOf(url)}`;
  });
}

/** The port that is dialled, the scheme's own included. */
export function portOf(url: URL): string {
  return url.port === '' ? (url.protocol === 'https:' ? '443' : '80') : url.port;
}
