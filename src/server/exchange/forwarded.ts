import { isIP } from 'node:net';
import { isHostHeader } from './host-header.ts';

/** One hop (RFC 7239): what a proxy says about its own client. */
export interface Hop {
  /** The client's address; undefined where the proxy sent none, {@link UNKNOWN} where it cannot be read. */
  readonly address: string | undefined;
  readonly scheme: 'http' | 'https' | undefined;
  readonly host: string | undefined;
}

/** A client whose forwarded address cannot be read. It is never taken for the proxy itself. */
export const UNKNOWN = 'unknown';

/** More than any real chain of proxies has. */
const MAX_HOPS = 32;

/** Characters; more than that many hops need. */
const MAX_LENGTH = 4096;

/** The headers a hop is read from, as Node joins them: names lower case, repeated ones with `, ` between. */
export type ForwardedHeaders = Readonly<Record<string, string | readonly string[] | undefined>>;

/**
 * The hops of a request, the nearest proxy last; of many hops, the last 32. Entries that a client wrote into the same headers
 * come first, so they can hide none of the proxies' own.
 *
 * Nearly every proxy sends `X-Forwarded-For`, `-Proto` and `-Host`. `Forwarded` (RFC 7239) is read only where none of those is
 * present: a proxy that sets the former passes the latter on as its client sent it.
 */
export function forwardedHops(headers: ForwardedHeaders): readonly Hop[] {
  const addresses = listOf(headers['x-forwarded-for']);
  const schemes = listOf(headers['x-forwarded-proto']);
  const hosts = listOf(headers['x-forwarded-host']);
  const count = Math.max(addresses.length, schemes.length, hosts.length);
  if (count > 0) {
    // A proxy that replaces a header leaves one entry, one that appends leaves several: the last entries belong together.
    return Array.from({ length: count }, (_, index) => {
      const at = index - count;
      return hopOf(addresses.at(at), schemes.at(at), hosts.at(at));
    });
  }
  const forwarded = headers['forwarded'];
  if (typeof forwarded !== 'string') return [];
  return parseForwarded(forwarded) ?? [{ address: UNKNOWN, scheme: undefined, host: undefined }];
}

function listOf(header: string | readonly string[] | undefined): readonly string[] {
  if (typeof header !== 'string') return [];
  return header
    .split(',')
    .map((entry) => entry.trim())
    .filter((entry) => entry !== '')
    .slice(-MAX_HOPS);
}

/**
 * The `Forwarded` header (RFC 7239 §4): elements between commas, of pairs between semicolons, with values that are tokens or
 * quoted. Undefined where it is malformed or names a parameter twice.
 */
export function parseForwarded(header: string): readonly Hop[] | undefined {
  if (header.length > MAX_LENGTH) return undefined;
  // name=token or name="quoted", then the separator: ; within a hop, , after it.
  const pair = /[ \t]*([!#$%&'*+.^_`|~0-9a-z-]+)=([!#$%&'*+.^_`|~0-9a-z:[\]-]+|"(?:[^"\\]|\\.)*")[ \t]*([;,]|$)/iy;
  const hops: Hop[] = [];
  let parameters = new Map<string, string>();
  while (pair.lastIndex < header.length) {
    const match = pair.exec(header);
    if (match === null) return undefined;
    const [, name = '', value = '', end] = match;
    if (parameters.has(name.toLowerCase())) return undefined;
    parameters.set(name.toLowerCase(), value.startsWith('"') ? value.slice(1, -1).replace(/\\(.)/g, '$1') : value);
    if (end === ';' && pair.lastIndex < header.length) continue;
    hops.push(hopOf(parameters.get('for'), parameters.get('proto'), parameters.get('host')));
    parameters = new Map();
    if (hops.length > MAX_HOPS) return undefined;
  }
  return hops;
}

function hopOf(node: string | undefined, proto: string | undefined, host: string | undefined): Hop {
  const scheme = proto?.toLowerCase();
  return {
    address: node === undefined ? undefined : (parseNode(node) ?? UNKNOWN),
    scheme: scheme === 'http' || scheme === 'https' ? scheme : undefined,
    host: host !== undefined && isHostHeader(host) ? host : undefined,
  };
}

/**
 * The address in `192.0.2.1`, `192.0.2.1:4711`, `2001:db8::1`, `[2001:db8::1]` or `[2001:db8::1]:4711`; undefined for anything
 * else: `unknown`, a name, an obfuscated identifier (RFC 7239 §6), an address with a zone.
 */
export function parseNode(text: string): string | undefined {
  const inner = /^\[([0-9a-f:.]{2,45})\](?::\d{1,5})?$/i.exec(text)?.[1];
  if (inner !== undefined) return isIP(inner) === 6 ? plainAddress(inner) : undefined;
  const address = /^(\d+\.\d+\.\d+\.\d+):\d{1,5}$/.exec(text)?.[1] ?? text;
  return isIP(address) === 0 || address.includes('%') ? undefined : plainAddress(address);
}

/** An address in its one form: lower case, without a zone, an IPv4-mapped IPv6 address as IPv4. */
export function plainAddress(address: string): string {
  const plain = address.toLowerCase().replace(/%.*$/, '');
  return /^::ffff:(\d+\.\d+\.\d+\.\d+)$/.exec(plain)?.[1] ?? plain;
}

/** An address of this machine. */
export function isLoopback(address: string): boolean {
  return /^127\.|^::1$/.test(plainAddress(address));
}
