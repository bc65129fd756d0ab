import { isIP } from 'node:net';
import { isLoopback, type RequestContext } from './exchange/index.ts';

/** The names under which this server may send clients to itself. */
export interface OwnNames {
  /** `http(s)://host[:port]` */
  readonly publicUrl: string | undefined;
  readonly domainSuffix: string | undefined;
}

/**
 * The address of this server as the client uses it, for the realm of its token service: the Host of the request only where it
 * is ours, else `public_url`. Undefined where there is none: a client is never sent to a host that another client made up
 * (CVE-2025-63761).
 */
export function ownBase(
  { host, scheme }: Pick<RequestContext, 'host' | 'scheme'>,
  names: OwnNames,
): string | undefined {
  const { publicUrl, domainSuffix } = names;
  if (host === undefined) return publicUrl;
  if (!URL.canParse(`${scheme}://${host}`)) return publicUrl;
  const { origin, hostname } = new URL(`${scheme}://${host}`);
  const name = hostname.replace(/^\[(.*)\]$/, '$1');
  const isLocal = isIP(name) === 0 ? /(?:^|\.)localhost$/.test(name) : isLoopback(name);
  const isUnderSuffix = domainSuffix !== undefined && (name === domainSuffix || name.endsWith(`.${domainSuffix}`));
  return isLocal || isUnderSuffix ? origin : publicUrl;
}

/** The audience of tokens for a client: the authority of {@link ownBase}. */
export function audienceOf(base: string | undefined): string | undefined {
  return base === undefined ? undefined : new URL(base).host;
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
