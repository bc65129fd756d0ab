import type { Capability, CredentialSource, RegistrySpec, TlsSpec, TransportSpec, UpstreamSpec } from '../oci/index.ts';
import { canonicalHost } from './host.ts';
import { type KnownRegistry, knownRegistryByHost } from './known-registries.ts';

/** One upstream as an operator writes it. */
export interface UpstreamOptions {
  /** `http(s)://host[:port][/prefix]`; a `/v2` at its end is dropped. */
  readonly url: string;
  /** @default the host, with its port */
  readonly name?: string;
  /** Several are used in turn, as their budgets run low. */
  readonly credentials?: CredentialSource | readonly CredentialSource[];
  readonly headers?: Readonly<Record<string, string>>;
  /** @default ['pull', 'resolve'] */
  readonly capabilities?: readonly Capability[];
  readonly tls?: TlsSpec;
  readonly transport?: TransportSpec;
  /** Added to what is known of the upstream's host. */
  readonly tokenRealms?: readonly string[];
  readonly redirectHosts?: readonly string[];
}

/** An address of an upstream that has been read. */
export interface UpstreamUrl {
  /** Without a trailing slash and without `/v2`. */
  readonly url: string;
  /** With the port where the URL has one that is not its scheme's own. */
  readonly host: string;
  /** The path in front of `/v2`, empty where there is none. */
  readonly prefix: string;
}

/** Reads the address of an upstream; a text says what is wrong with it, and never repeats a password. */
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
  return { url: `${url.protocol}//${url.host}${prefix}`, host: url.host, prefix };
}

/** An upstream with everything filled in; its address must have been read. */
export function upstreamOf({ url, host }: UpstreamUrl, options: Omit<UpstreamOptions, 'url'> = {}): UpstreamSpec {
  const realms = [...(knownOfHost(host)?.tokenRealms ?? []), ...(options.tokenRealms ?? [])];
  return {
    name: options.name ?? host,
    url,
    credentials: options.credentials,
    headers: options.headers ?? {},
    capabilities: options.capabilities ?? ['pull', 'resolve'],
    tls: options.tls,
    ...(options.transport === undefined ? {} : { transport: options.transport }),
    tokenRealms: [...new Set(realms)],
    redirectHosts: options.redirectHosts,
  };
}

/** A known registry as it is without configuration. */
export function specOfKnown(known: KnownRegistry): RegistrySpec {
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

/** A registry of which nothing is known but its host, in canonical form: it is spoken to over https. */
export function specOfHost(host: string): RegistrySpec {
  return {
    name: host,
    hosts: [],
    aliases: [],
    pathNames: [],
    library: false,
    delivery: 'stream',
    upstreams: [upstreamOf({ url: `https://${host}`, host, prefix: '' })],
  };
}

/** The known registry that an upstream's host belongs to, whatever the operator calls it. */
export function knownOfHost(host: string): KnownRegistry | undefined {
  const canonical = canonicalHost(host);
  return canonical === undefined ? undefined : knownRegistryByHost(canonical);
}

function withoutUserinfo(text: string): string {
  return text.replace(/\/\/[^/@]*@/, '//***@').slice(0, 200);
}
