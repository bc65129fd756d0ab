import { isIP } from 'node:net';
import { isHostHeader } from './host-header.ts';

/** What one server in front of us says of the one it was asked by: a hop, in the words of RFC 7239. */
export interface Hop {
  /** The address it was asked from; undefined where it says none, {@link UNKNOWN} where it says what is none. */
  readonly address: string | undefined;
  readonly scheme: 'http' | 'https' | undefined;
  readonly host: string | undefined;
}

/** Somebody whose address was told and cannot be read: never taken for whoever told it. */
export const UNKNOWN = 'unknown';

/** Nobody stands behind more servers than this. */
const MAX_HOPS = 32;

/** Longer than what that many hops have to say. */
const MAX_LENGTH = 4096;

/** The headers a hop is read from, as Node joins them: names lower case, repeated ones with `, ` between. */
export type ForwardedHeaders = Readonly<Record<string, string | readonly string[] | undefined>>;

/**
 * What the servers in front of us say, the nearest last; of many hops, the last 32. What a client wrote into the same
 * headers stands before that, so however it looks, it hides nothing of what follows.
 *
 * `X-Forwarded-For`, `-Proto` and `-Host` are what nearly all of them send; `Forwarded` (RFC 7239) is read only where none of
 * those is there: a server that sets the first passes on whatever a client says in the second.
 */
export function forwardedHops(headers: ForwardedHeaders): readonly Hop[] {
  const addresses = listOf(headers['x-forwarded-for']);
  const schemes = listOf(headers['x-forwarded-proto']);
  const hosts = listOf(headers['x-forwarded-host']);
  const count = Math.max(addresses.length, schemes.length, hosts.length);
  if (count > 0) {
    // Who sets a header anew leaves one entry where who adds to another has left several: they agree on the last.
    return Array.from({ length: count }, (_, index) => {
      const fromEnd = count - index;
      return {
        address: addressOf(addresses.at(-fromEnd)),
        scheme: schemeOf(schemes.at(-fromEnd)),
        host: hostOf(hosts.at(-fromEnd)),
      };
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
  // name=token or name="quoted", and what stands before the next one: ; within a hop, , after it.
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
    hops.push(hopOf(parameters));
    parameters = new Map();
    if (hops.length > MAX_HOPS) return undefined;
  }
  return hops;
}

function hopOf(parameters: ReadonlyMap<string, string>): Hop {
  return {
    address: addressOf(parameters.get('for')),
    scheme: schemeOf(parameters.get('proto')),
    host: hostOf(parameters.get('host')),
  };
}

function addressOf(node: string | undefined): string | undefined {
  return node === undefined ? undefined : (parseNode(node) ?? UNKNOWN);
}

/**
 * The address in `192.0.2.1`, `192.0.2.1:4711`, `2001:db8::1`, `[2001:db8::1]` or `[2001:db8::1]:4711`; undefined for what
 * is none: `unknown`, a name, an invented identifier (RFC 7239 §6), an address with a zone.
 */
export function parseNode(text: string): string | undefined {
  const inner = /^\[([0-9a-f:.]{2,45})\](?::\d{1,5})?$/i.exec(text)?.[1];
  if (inner !== undefined) return isIP(inner) === 6 ? plainAddress(inner) : undefined;
  const address = /^(\d+\.\d+\.\d+\.\d+):\d{1,5}$/.exec(text)?.[1] ?? text;
  return isIP(address) === 0 || address.includes('%') ? undefined : plainAddress(address);
}

/** An address as it is known best: an IPv4 address within IPv6 is IPv4, letters are small, a zone is no part of it. */
export function plainAddress(address: string): string {
  const plain = address.toLowerCase().replace(/%.*$/, '');
  return /^::ffff:(\d+\.\d+\.\d+\.\d+)$/.exec(plain)?.[1] ?? plain;
}

/** An address of this machine. */
export function isLoopback(address: string): boolean {
  return /^127\.|^::1$/.test(plainAddress(address));
}

function schemeOf(text: string | undefined): Hop['scheme'] {
  const scheme = text?.toLowerCase();
  return scheme === 'http' || scheme === 'https' ? scheme : undefined;
}

function hostOf(text: string | undefined): string | undefined {
  return text !== undefined && isHostHeader(text) ? text : undefined;
}
