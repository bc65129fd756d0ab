import type { IncomingMessage } from 'node:http';
import { BlockList, isIP } from 'node:net';
import { type ForwardedHeaders, forwardedHops, isLoopback, plainAddress, UNKNOWN } from './forwarded.ts';

/** Who asks, and how it sees this server. */
export interface ClientInfo {
  /**
   * IP address; IPv4 within IPv6 is IPv4. Empty where a request came by a Unix socket, or its connection is gone; `unknown`
   * where a trusted server told one that cannot be read.
   */
  readonly address: string;
  readonly scheme: 'http' | 'https';
  /** What it takes this server for: host, with a port that is not the scheme's own. */
  readonly host: string | undefined;
}

/** True for an address whose word on others is believed; undefined stands for a Unix socket. */
export type TrustedProxies = (address: string | undefined) => boolean;

/** Who comes by a Unix socket, in a list of trusted ones. */
const UNIX = 'unix';

/**
 * Servers in front of this one that may say for whom they ask.
 *
 * @param entries addresses, CIDR blocks, and `unix` for whoever may open a Unix socket of ours. An entry that is none of
 * these matches nothing.
 */
export function compileTrustedProxies(entries: readonly string[]): TrustedProxies {
  const list = new BlockList();
  for (const entry of entries) {
    const [address = '', bits] = entry.split('/');
    const family = isIP(address);
    if (family === 0) continue;
    const type = family === 4 ? 'ipv4' : 'ipv6';
    if (bits === undefined) list.addAddress(address, type);
    else list.addSubnet(address, Number(bits), type);
  }
  const unix = entries.includes(UNIX);
  return (address) => {
    if (address === undefined) return unix;
    const family = isIP(address);
    return family !== 0 && list.check(address, family === 4 ? 'ipv4' : 'ipv6');
  };
}

/** A connection, and what was said on it. */
export interface Introduction {
  /** Of the other side of the connection; undefined for a Unix socket. */
  readonly peer: string | undefined;
  readonly encrypted: boolean;
  readonly headers: ForwardedHeaders & { readonly host?: string | undefined };
}

/**
 * Who asks: the other side of the connection, or whom that says it asks for, where it is trusted. Of several hops the last
 * one that a trusted server vouches for counts, so what a client claims of itself is never reached. Scheme and host are those
 * of the same hop.
 */
export function identifyClient({ peer, encrypted, headers }: Introduction, isTrusted: TrustedProxies): ClientInfo {
  let address = peer === undefined ? undefined : plainAddress(peer);
  let scheme: ClientInfo['scheme'] = encrypted ? 'https' : 'http';
  let host = headers.host;
  if (isTrusted(address)) {
    for (const hop of forwardedHops(headers).toReversed()) {
      scheme = hop.scheme ?? scheme;
      host = hop.host ?? host;
      if (hop.address === undefined) break;
      // A client of its own machine is no client of ours, whatever else may have written that.
      const isPlausible = !isLoopback(hop.address) || address === undefined || isLoopback(address);
      address = isPlausible ? hop.address : UNKNOWN;
      if (!isTrusted(address)) break;
    }
  }
  return { address: address ?? '', scheme, host };
}

/**
 * One client for everything that is counted by client. Of IPv6 a network of /64 is one: whoever has one address of it has
 * them all.
 */
export function clientKey(address: string): string {
  if (isIP(address) !== 6) return address;
  const [head = '', tail] = address.split('::');
  const groups = head === '' ? [] : head.split(':');
  // Zeros stand where :: does, as many as are missing; only the first four groups matter.
  if (tail !== undefined) {
    const behind = tail === '' ? 0 : tail.split(':').length + (tail.includes('.') ? 1 : 0);
    while (groups.length + behind < 8) groups.push('0');
    groups.push(...tail.split(':'));
  }
  const network = groups.slice(0, 4).map((group) => Number.parseInt(group, 16).toString(16));
  return `${network.join(':')}::/64`;
}

const callers = new WeakMap<IncomingMessage, ClientInfo>();

/** Remembers who asks, for a request that is more than its connection shows. */
export function setClientInfo(request: IncomingMessage, caller: ClientInfo): void {
  callers.set(request, caller);
}

/** Who asks: as introduced, otherwise as the connection shows. */
export function clientInfoOf(request: IncomingMessage): ClientInfo {
  return callers.get(request) ?? identifyClient(introductionOf(request), trustNobody);
}

/** What a request and its connection show. */
export function introductionOf({ socket, headers }: IncomingMessage): Introduction {
  return { peer: socket.remoteAddress, encrypted: 'encrypted' in socket, headers };
}

function trustNobody(): boolean {
  return false;
}
