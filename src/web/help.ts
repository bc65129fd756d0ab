import {
  type ClientInstructions,
  clientSetups,
  type ForwardHelp,
  type ServerAddress,
  setupCommand,
} from '../clients/index.ts';
import type { RegistrySpec } from '../oci/index.ts';
import type { Catalogue } from '../routing/index.ts';
import type { Page, PublicUrls } from '../server/index.ts';
import { redactUrl } from '../telemetry/index.ts';
import { serverAddressOf } from './address.ts';
import type { HelpDescription, NamingExamples, RegistryHelp } from './description.ts';
import { helpPagePolicy, renderHelpPage } from './help-page.ts';
import { languageOf } from './language.ts';
import { HELP_WORDS } from './words.ts';

export interface HelpOptions {
  readonly catalogue: Pick<Catalogue, 'default' | 'domainSuffix' | 'list'>;
  readonly publicUrls: PublicUrls;
  /** Whether rules decide who may pull what: it then says how to log in, and nothing of upstreams, whose addresses not every reader may know. @default false */
  readonly hasRules?: boolean;
  readonly version: string;
  /** The forward proxy, where the server is one. */
  readonly forward?: ForwardHelp | undefined;
}

export interface HelpRequest {
  /** The host of the request. The examples use it, unless the server has a `public_url` and this is none of its names. */
  readonly host: string;
  readonly accept: string | undefined;
  readonly acceptLanguage?: string | undefined;
  /** What stands behind the `?`: `lang=zh` and `lang=en` choose the language of the page. */
  readonly query?: string | undefined;
  /** Whether the client came by HTTPS. @default false */
  readonly secure?: boolean;
}

/**
 * Explains how to use this server: as a page for a browser, as JSON for everything else (`curl`, and programs that read
 * crproxy's `/help`).
 */
export function describeHelp(options: HelpOptions, request: HelpRequest): Page {
  const description = createHelpDescription(options, request);
  const vary = 'accept, accept-language';
  if (!wantsPage(request.accept)) {
    const body = `${JSON.stringify(toJson(description), null, 2)}\n`;
    return { contentType: 'application/json', headers: { vary }, body };
  }
  const language = languageOf(request);
  const headers = {
    vary,
    'content-language': HELP_WORDS[language].tag,
    'content-security-policy': helpPagePolicy(),
    'x-content-type-options': 'nosniff',
    'referrer-policy': 'no-referrer',
  };
  return { contentType: 'text/html; charset=utf-8', headers, body: renderHelpPage(description, language) };
}

/** The help as data. */
export function createHelpDescription(
  { catalogue, publicUrls, hasRules = false, version, forward }: HelpOptions,
  { host: asked, secure = false }: HelpRequest,
): HelpDescription {
  const { domainSuffix } = catalogue;
  const { host, url } = serverAddressOf({ domainSuffix, publicUrls }, { host: asked, secure });
  const defaultRegistry = catalogue.default.name;
  const registries = catalogue
    .list()
    .map((registry) => describeRegistry(registry, { host, url, domainSuffix, defaultRegistry, hasRules }));
  return {
    version,
    host,
    url,
    defaultRegistry,
    hasRules,
    domainSuffix,
    // The default registry first: most names mean it.
    registries: registries.sort((a, b) => Number(b.isDefault) - Number(a.isDefault)),
    clients: clientSetups({ host, url, defaultRegistry, forward }),
  };
}

/** The server as its examples name it. */
interface NamedServer extends ServerAddress {
  readonly domainSuffix: string | undefined;
  readonly hasRules: boolean;
}

function describeRegistry(registry: RegistrySpec, address: NamedServer): RegistryHelp {
  const { name, aliases, pathNames, delivery } = registry;
  const isDefault = name === address.defaultRegistry;
  return {
    name,
    isDefault,
    aliases,
    upstreams: (address.hasRules ? [] : registry.upstreams).map(({ url }) => redactUrl(url)),
    delivery,
    isHosted: registry.hosting !== undefined && registry.hosting.hosted.length > 0,
    examples: namingExamples(
      { name, alias: aliases[0], inPath: isDotted(name) || pathNames.includes(name), isDefault },
      address,
    ),
  };
}

function namingExamples(
  { name, alias, inPath, isDefault }: { name: string; alias: string | undefined; inPath: boolean; isDefault: boolean },
  { host, url, domainSuffix }: NamedServer,
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

/** What Docker's grammar reads as a registry: see `src/routing`. */
function isDotted(name: string): boolean {
  return name.includes('.') || name.includes(':') || name === 'localhost';
}

/** Browsers name HTML; other clients send a wildcard, nothing, or JSON. */
export function wantsPage(accept: string | undefined): boolean {
  return accept !== undefined && /\btext\/html\b/i.test(accept.slice(0, 1024));
}

/** For programs: snake_case as in the configuration, registries by name. */
function toJson({ version, host, url, defaultRegistry, domainSuffix, registries, clients }: HelpDescription): unknown {
  const byName: Record<string, unknown> = Object.create(null);
  for (const { name, aliases, upstreams, delivery, isHosted, examples } of registries) {
    const { hostName, ...others } = examples;
    const ways = { ...others, ...(hostName && { host_name: hostName }) };
    byName[name] = { aliases, upstreams, delivery, ...(isHosted && { hosted: true }), examples: ways };
  }
  return {
    name: 'entrepot',
    version,
    url,
    host,
    default: defaultRegistry,
    ...(domainSuffix !== undefined && { domain_suffix: domainSuffix }),
    registries: byName,
    clients: Object.fromEntries(
      clients.map(({ client, setup, instructions }) => [
        client,
        { ...clientJson(instructions), ...(setup && { setup: setupCommand(setup, url) }) },
      ]),
    ),
  };
}

/** `file` and `text` are the first file, or the commands; `files` are all, where there are several. */
function clientJson({ files = [], commands = [] }: ClientInstructions): Readonly<Record<string, unknown>> {
  const [first] = files;
  if (first === undefined) return { text: commands.join('\n') };
  const all = files.map(({ path, where, content }) => ({ path, ...(where && { where: where.en }), text: content }));
  return { file: first.path, text: first.content, ...(all.length > 1 && { files: all }) };
}
