import type { IncomingMessage } from 'node:http';
import { isIPv6 } from 'node:net';

/** A host name or address, with or without a port, and nothing else. */
const HOST = /^(?:[a-z0-9](?:[a-z0-9._-]{0,251}[a-z0-9])?|\[[0-9a-f:.]{2,45}\])(?::([0-9]{1,5}))?$/i;

/** What a `Host` may be: a registered name in the widest sense (RFC 3986 §3.2.2), or an IPv6 address in brackets. */
const REGISTERED_NAME = /^(?:[a-z0-9._~!$&'()*+,;=-]|%[0-9a-f]{2}){1,255}(?::([0-9]{0,5}))?$/i;
const BRACKETED = /^\[([0-9a-f:.]{2,45})\](?::([0-9]{0,5}))?$/i;

/** Whether a host is safe to repeat in a header or a page and to paste into a shell (RFC 9110 §7.2, without its odder names). */
export function isHostHeader(text: string): boolean {
  const found = HOST.exec(text);
  return found !== null && isPort(found[1]);
}

/**
 * Says what is wrong with the `Host` of a request; undefined where nothing is. Such a request must be refused, because a proxy
 * in front may read another host out of it than this server does (RFC 9112 §3.2).
 */
export function faultOfHost({ rawHeaders, headers, httpVersionMinor }: IncomingMessage): string | undefined {
  let hosts = 0;
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i];
    if (name?.length === 4 && name.toLowerCase() === 'host') hosts += 1;
  }
  // Of two, Node takes the first; a proxy in front may take the last.
  if (hosts > 1) return 'the request has more than one Host header';
  const { host } = headers;
  // HTTP/1.0 has no Host: health checks of load balancers send none.
  if (host === undefined || host === '') {
    if (httpVersionMinor === 0) return undefined;
    return `the request has ${host === undefined ? 'no' : 'an empty'} Host header; it must name a host`;
  }
  return isValid(host) ? undefined : 'the Host header is not a host with an optional port from 1 to 65535';
}

function isValid(host: string): boolean {
  const name = REGISTERED_NAME.exec(host);
  if (name !== null) return isPort(name[1]);
  const [, address, port] = BRACKETED.exec(host) ?? [];
  return address !== undefined && isIPv6(address) && isPort(port);
}

/** @param digits absent or empty (RFC 3986 §3.2.3): the port of the scheme */
function isPort(digits: string | undefined): boolean {
  if (digits === undefined || digits === '') return true;
  const port = Number(digits);
  return port >= 1 && port <= 65_535;
}
