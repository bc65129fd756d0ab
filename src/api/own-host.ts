import { isIP } from 'node:net';

/** How this server may be addressed. */
export interface OwnHosts {
  /** Host names, lower case. */
  readonly names: ReadonlySet<string>;
  /** A name under which every host is this server. */
  readonly suffix: string | undefined;
  /** `public_url`: origins. */
  readonly origins: readonly string[];
}

interface Asked {
  /** As in a `Host` header. */
  readonly host: string | undefined;
  readonly scheme: 'http' | 'https';
}

/**
 * Whether a request names this server. A page of another site can make its own name lead to this server (DNS rebinding), and is then of
 * the same origin as what it reads: only the name gives it away. An address in numbers cannot be made to lead elsewhere.
 */
export function isOwnHost(hosts: OwnHosts, asked: Asked): boolean {
  const name = hostnameOf(asked);
  if (name === undefined) return false;
  if (isIP(name) !== 0 || isLocalName(name) || hosts.names.has(name)) return true;
  const { suffix } = hosts;
  return suffix !== undefined && (name === suffix || name.endsWith(`.${suffix}`));
}

/** Whether a request names the machine itself. */
export function isLoopbackHost(asked: Asked): boolean {
  const name = hostnameOf(asked);
  return name !== undefined && (isLocalName(name) || name === '::1' || /^127\.\d+\.\d+\.\d+$/.test(name));
}

/** `localhost` and names under it lead to the machine of the browser (RFC 6761 §6.3). */
function isLocalName(name: string): boolean {
  return name === 'localhost' || name.endsWith('.localhost');
}

/** Lower case, without port and brackets; undefined where there is none that can be read. */
function hostnameOf({ host, scheme }: Asked): string | undefined {
  if (host === undefined || host === '') return undefined;
  const hostname = URL.parse(`${scheme}://${host}`)?.hostname;
  // A name that ends with a dot is the same name.
  return hostname === undefined || hostname === ''
    ? undefined
    : hostname.replace(/^\[(.*)\]$/, '$1').replace(/\.$/, '');
}

/** What a browser says of where a request comes from. */
interface Sent extends Asked {
  readonly origin: string | undefined;
  /** `Sec-Fetch-Site`. */
  readonly site: string | undefined;
  readonly isReading: boolean;
}

/**
 * Whether a request may come from a page of another site, by what the browser says. A client that is no browser says nothing. Which
 * credential the request carries does not matter: a browser attaches passwords that it remembers, too.
 */
export function isCrossSite({ origins }: OwnHosts, { origin, site, isReading, host, scheme }: Sent): boolean {
  if (origin !== undefined) {
    const own = URL.parse(`${scheme}://${host ?? ''}`)?.origin;
    // A server in front may end TLS: then the scheme is that of the public URL.
    const isListed =
      origins.includes(origin) && URL.parse(origin)?.host === URL.parse(`${new URL(origin).protocol}//${host}`)?.host;
    if (origin !== own && !isListed) return true;
  }
  if (site === undefined || site === 'same-origin') return false;
  // An address that was typed, or a bookmark.
  return !(site === 'none' && isReading);
}
