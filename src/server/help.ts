import type { RegistrySpec } from '../oci/index.ts';
import type { Catalogue } from '../routing/index.ts';
import { redactUrl } from '../telemetry/index.ts';
import type { Page } from './dispatch.ts';
import { type ClientSetup, clientSetups } from './help-clients.ts';
import { forwardSetups } from './help-forward.ts';
import { renderHelpPage } from './help-page.ts';
import { isHostHeader } from './host-header.ts';

export interface HelpOptions {
  readonly catalogue: Pick<Catalogue, 'default' | 'domainSuffix' | 'list'>;
  /** Says whether clients come by HTTPS where its host is the one they came to. */
  readonly publicUrl: string | undefined;
  readonly version: string;
  /** How it is used as a forward proxy, where it is one. */
  readonly forward?: ForwardHelp | undefined;
}

/** What there is to know of the forward proxy. */
export interface ForwardHelp {
  /** Where it is not that of everything else. */
  readonly port?: number;
  /** Whether TLS is spoken at that port. @default false */
  readonly secure?: boolean;
  /** It wants a user and a password. */
  readonly credential: boolean;
  /** It looks into tunnels, so clients must trust its authority. */
  readonly mitm: boolean;
}

export interface HelpRequest {
  /** What the client takes this server for: the page explains it by the name it was asked under. */
  readonly host: string;
  readonly accept: string | undefined;
  /** Whether the client came by HTTPS. @default false */
  readonly secure?: boolean;
}

/** How this server is used: what the page shows, and what a program gets. */
export interface HelpDescription {
  readonly version: string;
  /** Host and port to be used in image names. */
  readonly host: string;
  /** `http://host:port`, without a trailing slash. */
  readonly url: string;
  readonly defaultRegistry: string;
  readonly domainSuffix: string | undefined;
  readonly registries: readonly RegistryHelp[];
  readonly clients: readonly ClientSetup[];
}

/** How one registry is reached, in every way this server understands. */
export interface RegistryHelp {
  readonly name: string;
  readonly isDefault: boolean;
  readonly aliases: readonly string[];
  /** Who is asked, in order; without credentials. */
  readonly upstreams: readonly string[];
  readonly delivery: RegistrySpec['delivery'];
  readonly examples: NamingExamples;
}

/** One and the same image, by each way of naming it; a way that this registry or server has not is absent. */
export interface NamingExamples {
  /** `HOST/IMAGE`: the default registry alone. */
  readonly bare?: string;
  /** `HOST/ghcr.io/IMAGE` */
  readonly path?: string;
  /** `ghcr.SUFFIX/IMAGE` */
  readonly hostName?: string;
  /** The API behind a short name, for clients that take a path in a mirror's address. */
  readonly prefix?: string;
  /** What containerd appends. */
  readonly ns: string;
}

/**
 * Explains how to use this server: a page to a browser, JSON to everyone else (`curl`, and programs that read crproxy's
 * `/help`).
 */
export function describeHelp(options: HelpOptions, request: HelpRequest): Page {
  const description = createHelpDescription(options, request);
  if (wantsPage(request.accept)) return { contentType: 'text/html; charset=utf-8', body: renderHelpPage(description) };
  return { contentType: 'application/json', body: `${JSON.stringify(toJson(description), null, 2)}\n` };
}

/** All that is shown, as data. */
export function createHelpDescription(
  { catalogue, publicUrl, version, forward }: HelpOptions,
  { host: asked, secure = false }: HelpRequest,
): HelpDescription {
  const { domainSuffix } = catalogue;
  const publicAddress = publicUrl === undefined ? undefined : new URL(publicUrl);
  const host = withoutSubHost(
    isNamed(asked) ? asked.toLowerCase() : (publicAddress?.host ?? 'localhost'),
    domainSuffix,
  );
  const url = publicAddress?.host === host ? publicAddress.origin : `${secure ? 'https' : 'http'}://${host}`;
  const defaultRegistry = catalogue.default.name;
  const registries = catalogue
    .list()
    .map((registry) => describeRegistry(registry, { host, url, domainSuffix, defaultRegistry }));
  return {
    version,
    host,
    url,
    defaultRegistry,
    domainSuffix,
    // The default first: it is the one that most names mean.
    registries: registries.sort((a, b) => Number(b.isDefault) - Number(a.isDefault)),
    clients: [
      ...clientSetups({ host, url, domainSuffix, defaultRegistry }),
      ...(forward === undefined ? [] : forwardSetups({ host, url }, forward)),
    ],
  };
}

/** What all the examples are made of. */
export interface HelpAddress {
  readonly host: string;
  readonly url: string;
  readonly domainSuffix: string | undefined;
  readonly defaultRegistry: string;
}

function describeRegistry(registry: RegistrySpec, address: HelpAddress): RegistryHelp {
  const { name, aliases, pathNames, delivery } = registry;
  const isDefault = name === address.defaultRegistry;
  return {
    name,
    isDefault,
    aliases,
    upstreams: registry.upstreams.map(({ url }) => redactUrl(url)),
    delivery,
    examples: namingExamples(
      { name, alias: aliases[0], inPath: isDotted(name) || pathNames.includes(name), isDefault },
      address,
    ),
  };
}

function namingExamples(
  { name, alias, inPath, isDefault }: { name: string; alias: string | undefined; inPath: boolean; isDefault: boolean },
  { host, url, domainSuffix }: HelpAddress,
): NamingExamples {
  const image = name === 'docker.io' ? 'alpine' : 'OWNER/IMAGE';
  const qualified = name === 'docker.io' ? 'library/alpine' : image;
  const port = /:[0-9]+$/.exec(host)?.[0] ?? '';
  return {
    ...(isDefault && { bare: `${host}/${image}` }),
    ...(inPath && { path: `${host}/${name}/${image}` }),
    ...(domainSuffix !== undefined && { hostName: `${alias ?? name}.${domainSuffix}${port}/${image}` }),
    ...(alias !== undefined && { prefix: `${url}/${alias}/v2/` }),
    ns: `${url}/v2/${qualified}/manifests/TAG?ns=${name}`,
  };
}

/** What Docker's own grammar takes for a registry: see `src/routing`. */
function isDotted(name: string): boolean {
  return name.includes('.') || name.includes(':') || name === 'localhost';
}

/** Whether a page can be about this host: one that a request may name, and a client could be told to ask (`a:99999` is no such). */
function isNamed(host: string): boolean {
  return isHostHeader(host) && URL.canParse(`http://${host}`);
}

/** Under `ghcr.SUFFIX` a bare name would mean GHCR; the examples are about the server, so they use its own name. */
function withoutSubHost(host: string, domainSuffix: string | undefined): string {
  const [name = '', port] = host.startsWith('[') ? [host] : host.split(':');
  if (domainSuffix === undefined || !name.endsWith(`.${domainSuffix}`)) return host;
  return port === undefined ? domainSuffix : `${domainSuffix}:${port}`;
}

/** Browsers name HTML; everything else sends a wildcard, or nothing, or asks for JSON. */
function wantsPage(accept: string | undefined): boolean {
  return accept !== undefined && /\btext\/html\b/i.test(accept.slice(0, 1024));
}

/** For programs: snake_case as in the configuration, registries by name. */
function toJson({ version, host, url, defaultRegistry, domainSuffix, registries, clients }: HelpDescription): unknown {
  const byName: Record<string, unknown> = Object.create(null);
  for (const { name, aliases, upstreams, delivery, examples } of registries) {
    const { hostName, ...others } = examples;
    byName[name] = { aliases, upstreams, delivery, examples: { ...others, ...(hostName && { host_name: hostName }) } };
  }
  return {
    name: 'entrepot',
    version,
    url,
    host,
    default: defaultRegistry,
    ...(domainSuffix !== undefined && { domain_suffix: domainSuffix }),
    registries: byName,
    clients: Object.fromEntries(clients.map(({ client, file, text }) => [client, { ...(file && { file }), text }])),
  };
}
