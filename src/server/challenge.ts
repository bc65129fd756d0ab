import { isIP } from 'node:net';
import { isHostHeader, isLoopback, type RequestContext } from './exchange/index.ts';
import { listedUrl, type PublicUrls } from './public-url.ts';

/** The names under which this server may send clients to itself. */
export interface OwnNames {
  readonly publicUrls: PublicUrls;
  readonly domainSuffix: string | undefined;
}

/**
 * The address of this server as the client uses it, for the realm of its token service: the Host of the request only where it
 * is ours, else the first `public_url`. Undefined where there is none: a client is never sent to a host that another client
 * made up (CVE-2025-63761).
 */
export function ownBase(asked: Asked, names: OwnNames): string | undefined {
  return ownPlace(asked, names).base;
}

/** The audience of tokens for a client: the authority of {@link ownBase}. */
export function audienceOf(asked: Asked, names: OwnNames): string | undefined {
  return ownPlace(asked, names).audience;
}

type Asked = Pick<RequestContext, 'host' | 'scheme'>;

interface Place {
  readonly base: string | undefined;
  readonly audience: string | undefined;
}

/** The one that was asked for last. Parsing a Host costs as much as all else that rules cost a warm manifest. */
let last: { readonly asked: Asked; readonly names: OwnNames; readonly place: Place } | undefined;

function ownPlace({ host, scheme }: Asked, names: OwnNames): Place {
  if (last !== undefined && last.asked.host === host && last.asked.scheme === scheme && last.names === names) {
    return last.place;
  }
  const base = findBase({ host, scheme }, names);
  const place = { base, audience: base === undefined ? undefined : new URL(base).host };
  last = { asked: { host, scheme }, names, place };
  return place;
}

function findBase({ host, scheme }: Asked, { publicUrls, domainSuffix }: OwnNames): string | undefined {
  if (host === undefined || !isHostHeader(host)) return publicUrls[0];
  const listed = listedUrl(publicUrls, { host, scheme });
  if (listed !== undefined) return listed;
  const url = URL.parse(`${scheme}://${host}`);
  if (url === null) return publicUrls[0];
  const name = url.hostname.replace(/^\[(.*)\]$/, '$1');
  const isLocal = isIP(name) === 0 ? /(?:^|\.)localhost$/.test(name) : isLoopback(name);
  const isUnderSuffix = domainSuffix !== undefined && (name === domainSuffix || name.endsWith(`.${domainSuffix}`));
  return isLocal || isUnderSuffix ? url.origin : publicUrls[0];
}

/** The `WWW-Authenticate` header of a 401 (RFC 9110 §11.6.1; distribution-spec, token authentication). */
export function formatChallenge(
  base: string | undefined,
  {
    scope,
    ns,
    failed,
  }: { readonly scope: string | undefined; readonly ns: string | undefined; readonly failed: boolean },
): string {
  // Without an address of its own, this server cannot name its token service; every client can send a password.
  if (base === undefined) return BASIC;
  const realm = new URL('/token', base);
  if (ns !== undefined) realm.searchParams.set('ns', ns);
  const parts = [`realm="${realm.href}"`, `service="${realm.host}"`];
  if (scope !== undefined) parts.push(`scope="${scope}"`);
  if (failed) parts.push('error="invalid_token"');
  return `Bearer ${parts.join(',')}`;
}

export const BASIC = 'Basic realm="entrepot", charset="UTF-8"';
