import type { IncomingMessage } from 'node:http';
import { isIPv6 } from 'node:net';

/** A host name or address, with or without a port, and nothing else. */
const HOST = /^(?:[a-z0-9](?:[a-z0-9._-]{0,251}[a-z0-9])?|\[[0-9a-f:.]{2,45}\])(?::[0-9]{1,5})?$/i;

/** What a request may say: a registered name in the widest sense (RFC 3986 §3.2.2), or an address of IPv6 in brackets. */
const REGISTERED_NAME = /^(?:[a-z0-9._~!$&'()*+,;=-]|%[0-9a-f]{2}){1,255}(?::[0-9]{0,5})?$/i;
const BRACKETED = /^\[([0-9a-f:.]{2,45})\](?::[0-9]{0,5})?$/i;

/** What may be repeated in a header or a page and pasted into a shell (RFC 9110 §7.2, without its odder names). */
export function isHostHeader(text: string): boolean {
  return HOST.test(text);
}

/**
 * What is wrong with the `Host` of a request, in words; undefined where nothing is. Such a request is to be refused, since
 * whoever stands in front may understand another host than we do (RFC 9112 §3.2).
 */
export function faultOfHost({ rawHeaders, headers, httpVersionMinor }: IncomingMessage): string | undefined {
  let hosts = 0;
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i];
    if (name?.length === 4 && name.toLowerCase() === 'host') hosts += 1;
  }
  // Of two, Node takes the first, where whoever stands in front may take the last.
  if (hosts > 1) return 'the request has more than one Host header';
  const { host = '' } = headers;
  // HTTP/1.0 knows no Host: health checks of load balancers go without one.
  if (host === '') return httpVersionMinor === 0 ? undefined : 'the Host header is empty; it must name a host';
  return isValid(host) ? undefined : 'the Host header is no host with an optional port';
}

function isValid(host: string): boolean {
  if (REGISTERED_NAME.test(host)) return true;
  const address = BRACKETED.exec(host)?.[1];
  return address !== undefined && isIPv6(address);
}
