import { plainHost } from '../dial/index.ts';

/** Where a name server is, and how it is asked. */
export type DnsServerAddress =
  /** RFC 8484. */
  | { readonly kind: 'https'; readonly url: URL }
  /** RFC 7858. `certificateName` is what its certificate must be for. */
  | { readonly kind: 'tls'; readonly host: string; readonly port: number; readonly certificateName: string };

/**
 * Reads `https://dns.google/dns-query` or `tls://1.1.1.1:853#cloudflare-dns.com` (port 853 unless given; behind `#` the name
 * its certificate must have, the host itself unless given). Undefined for anything else.
 */
export function parseDnsServer(text: string): DnsServerAddress | undefined {
  const url = URL.parse(text);
  if (url === null || url.hostname === '' || url.username !== '' || url.password !== '') return undefined;
  if (url.protocol === 'https:') return url.hash === '' ? { kind: 'https', url } : undefined;
  if (url.protocol !== 'tls:' || url.search !== '' || (url.pathname !== '' && url.pathname !== '/')) return undefined;
  const name = plainHost(url.hash === '' ? url.hostname : url.hash.slice(1));
  return { kind: 'tls', host: url.hostname, port: url.port === '' ? 853 : Number(url.port), certificateName: name };
}

/** As messages name it. */
export function shownDnsServer(address: DnsServerAddress): string {
  return address.kind === 'https'
    ? `${address.url.origin}${address.url.pathname}`
    : `tls://${address.host}:${address.port}`;
}
