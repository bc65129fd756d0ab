import { isIP } from 'node:net';

/** A URL's host name for comparison: lower case, without brackets or a trailing dot. */
export function hostOf(url: URL): string {
  return url.hostname.replace(/^\[|\]$/g, '').replace(/\.$/, '');
}

/** True for a host without a registrable domain: an IP address, `localhost`, a name without a dot. */
export function isLocalName(host: string): boolean {
  return isIP(host) !== 0 || host === 'localhost' || host.endsWith('.localhost') || !host.includes('.');
}

/**
 * The registered domain of a host (`docker.io` of `auth.docker.io`); undefined where there is none.
 *
 * Uses the private part of the public-suffix list too: `a.github.io` and `b.github.io` have different owners. The list is
 * loaded at the first question.
 */
export async function registrableDomain(host: string): Promise<string | undefined> {
  const { getDomain } = await import('tldts');
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

/** The port of a URL, by its scheme where none is given. */
export function portOf(url: URL): string {
  return url.port === '' ? (url.protocol === 'https:' ? '443' : '80') : url.port;
}
