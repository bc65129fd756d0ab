import type { IncomingMessage } from 'node:http';
import { BlockList, isIP } from 'node:net';
import type { Principal } from '../../access/index.ts';
import { type ForwardedHeaders, forwardedHops, isLoopback, plainAddress, UNKNOWN } from './forwarded.ts';

/** A client, and how it sees this server. */
export interface ClientInfo {
  /**
   * IP address; an IPv4-mapped IPv6 address is IPv4. Empty for a Unix socket or a closed connection; `unknown` where a
   * trusted proxy sent an address that cannot be read.
   */
  readonly address: string;
  readonly scheme: 'http' | 'https';
  /** The host that the client addresses, with the port unless it is the scheme's default. */
  readonly host: string | undefined;
  /** Set where the peer is a trusted proxy. */
  readonly isForwarded?: true;
  /** Set where the request did not address this server itself: it came to the forward proxy, or out of a decrypted tunnel. */
  readonly entryPoint?: 'forward' | 'mitm';
  /** Set where the forward proxy has identified the client: the request's own credential is for the host it names. */
  readonly principal?: Principal | undefined;
}

/** Whether the forwarded headers from an address are believed; undefined stands for a Unix socket. */
export type TrustedProxies = (address: string | undefined) => boolean;

/** Stands for clients of a Unix socket in a list of trusted proxies. */
const UNIX = 'unix';

/**
 * Compiles the list of proxies that may name the client they ask for.
 *
 * @param entries addresses, CIDR blocks, and `unix` for every client of a Unix socket. Any other entry matches nothing.
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

/** A connection and the headers of a request on it. */
interface ConnectionInfo {
  /** The peer's address; undefined for a Unix socket. */
  readonly peer: string | undefined;
  readonly encrypted: boolean;
  readonly headers: ForwardedHeaders & { readonly host?: string | undefined };
}

/**
 * Identifies the client: the peer, or the address that a trusted peer forwards for. Of several hops, the last one that a
 * trusted proxy vouches for counts, so a client cannot forge its own address. Scheme and host are those of the same hop.
 */
export function identifyClient({ peer, encrypted, headers }: ConnectionInfo, isTrusted: TrustedProxies): ClientInfo {
  let address = peer === undefined ? undefined : plainAddress(peer);
  let scheme: ClientInfo['scheme'] = encrypted ? 'https' : 'http';
  let host = headers.host;
  const isForwarded = isTrusted(address);
  if (isForwarded) {
    for (const hop of forwardedHops(headers).toReversed()) {
      scheme = hop.scheme ?? scheme;
      host = hop.host ?? host;
      if (hop.address === undefined) break;
      // A loopback address names the proxy's own machine, not ours.
      const isPlausible = !isLoopback(hop.address) || address === undefined || isLoopback(address);
      address = isPlausible ? hop.address : UNKNOWN;
      if (!isTrusted(address)) break;
    }
  }
  return { address: address ?? '', scheme, host, ...(isForwarded && { isForwarded }) };
}

const clients = new WeakMap<IncomingMessage, ClientInfo>();

/** Sets the client of a request whose connection does not show it: behind a trusted proxy, or out of a tunnel. */
export function setClientInfo(request: IncomingMessage, client: ClientInfo): void {
  clients.set(request, client);
}

/** The client as it was set, otherwise as the connection shows it. */
export function clientInfoOf(request: IncomingMessage): ClientInfo {
  return clients.get(request) ?? identifyClient(connectionInfoOf(request), () => false);
}

export function connectionInfoOf({ socket, headers }: IncomingMessage): ConnectionInfo {
  return { peer: socket.remoteAddress, encrypted: 'encrypted' in socket, headers };
}
