import type { ConfiguredRegistry, ConfiguredUpstream } from '../oci/index.ts';
import { canonicalHost } from './host.ts';
import { type KnownRegistry, knownRegistryByHost } from './known-registries.ts';

/** One configured upstream. A final `/v2` of its URL is dropped; its token realms are added to the known ones of its host. */
export type UpstreamOptions = Pick<ConfiguredUpstream, 'url'> & Partial<Omit<ConfiguredUpstream, 'addresses'>>;

/** The parsed URL of an upstream. */
export interface UpstreamUrl {
  /** Without a trailing slash and without `/v2`. */
  readonly url: string;
  /** With its port, unless that is the default of the scheme. */
  readonly host: string;
  /** The path before `/v2`; may be empty. */
  readonly prefix: string;
}

/** Parses the URL of an upstream. Returns a message, without passwords, for an invalid URL. */
export function parseUpstreamUrl(text: string): UpstreamUrl | string {
  if (!/^https?:\/\//i.test(text) || !URL.canParse(text)) {
    return `found "${withoutUserinfo(text)}", expected an http:// or https:// address, e.g. https://ghcr.io`;
  }
  const url = new URL(text);
  if (url.username !== '' || url.password !== '') {
    return `found a user name or password in the address of ${url.host}; credentials belong under "credentials"`;
  }
  if (url.search !== '' || url.hash !== '') {
    return `found a query or fragment after ${url.origin}${url.pathname}; only a path may follow the host`;
  }
  const prefix = url.pathname.replace(/\/{1,16}$/, '').replace(/\/v2$/, '');
  const behind = /^(.*)\/v2\/(.+)$/.exec(prefix);
  if (behind !== null) {
    const [, front = '', repository = ''] = behind;
    return (
      `found the path ${url.pathname}, but the API of a registry is at <url>/v2/; for repositories under a prefix, ` +
      `list it under "registries" with upstreams: [{url: "${url.origin}${front}", repository_prefix: ${repository}}]`
    );
  }
  return { url: `${url.protocol}//${url.host}${prefix}`, host: url.host, prefix };
}

/** An upstream with its defaults filled in. */
export function upstreamOf({ url, host }: UpstreamUrl, options: Omit<UpstreamOptions, 'url'> = {}): ConfiguredUpstream {
  const realms = [...(knownOfHost(host)?.tokenRealms ?? []), ...(options.tokenRealms ?? [])];
  return {
    name: host,
    credentials: undefined,
    headers: {},
    capabilities: ['pull', 'resolve'],
    redirectHosts: undefined,
    ...options,
    url,
    tokenRealms: [...new Set(realms)],
  };
}

/** A known registry without configuration. */
export function specOfKnown(known: KnownRegistry): ConfiguredRegistry {
  return {
    name: known.name,
    hosts: known.hosts,
    aliases: known.aliases,
    pathNames: [],
    library: known.library,
    delivery: 'stream',
    upstreams: [upstreamOf({ url: known.url, host: new URL(known.url).host, prefix: '' })],
  };
}

/** The known registry of an upstream's host, under whatever name it is configured. */
export function knownOfHost(host: string): KnownRegistry | undefined {
  const canonical = canonicalHost(host);
  return canonical === undefined ? undefined : knownRegistryByHost(canonical);
}

function withoutUserinfo(text: string): string {
  return text.replace(/\/\/[^/@]*@/, '//***@').slice(0, 200);
}
