import { plainHost } from '../dial/index.ts';

/** The address of a name server, and its protocol. */
export type DnsServerAddress =
  /** RFC 8484. */
  | { readonly kind: 'https'; readonly url: URL }
  /** RFC 7858. `certificateName`: the name its certificate must be valid for. */
  | { readonly kind: 'tls'; readonly host: string; readonly port: number; readonly certificateName: string };

/**
 * Parses `https://dns.google/dns-query` or `tls://1.1.1.1:853#cloudflare-dns.com`: the default port is 853, and after `#` is
 * the name of its certificate, by default the host. Undefined for any other text.
 */
export function parseDnsServer(text: string): DnsServerAddress | undefined {
  const url = URL.parse(text);
  if (url === null || url.hostname === '' || url.username !== '' || url.password !== '') return undefined;
  if (url.protocol === 'https:') return url.hash === '' ? { kind: 'https', url } : undefined;
  if (url.protocol !== 'tls:' || url.search !== '' || (url.pathname !== '' && url.pathname !== '/')) return undefined;
  const name = plainHost(url.hash === '' ? url.hostname : url.hash.slice(1));
  return { kind: 'tls', host: url.hostname, port: url.port === '' ? 853 : Number(url.port), certificateName: name };
}

/** A name server's address in messages. */
export function shownDnsServer(address: DnsServerAddress): string {
  return address.kind === 'https'
    ? `${address.url.origin}${address.url.pathname}`
    : `tls://${address.host}:${address.port}`;
}
