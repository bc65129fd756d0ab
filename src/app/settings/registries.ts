import { readFile } from 'node:fs/promises';
import type { Config, RegistryConfig, UpstreamConfig } from '../../config/index.ts';
import {
  type Catalogue,
  composeCatalogue,
  type InternUpstream,
  MAX_REGISTRY_MAP_LENGTH,
  parseRegistryMap,
  type RegistryMap,
  type RegistryOptions,
  type UpstreamOptions,
} from '../../routing/index.ts';
import { SettingsError } from './error.ts';
import { httpClientOf, resolverOf, tlsOf, transportOf } from './transport.ts';

/** The registries that can be named, with the operator's map of them where there is one. @throws {SettingsError} */
export async function catalogueOf(
  config: Config,
  { intern }: { readonly intern?: InternUpstream } = {},
): Promise<Catalogue> {
  const { registry_map: source } = config;
  return compose(config, {
    registryMap: source === undefined ? undefined : await readRegistryMap(source, config),
    intern,
  });
}

/** As {@link catalogueOf}, from the configuration and what is known alone: asks nobody. @throws {SettingsError} */
export function composeRegistries(config: Config, registryMap?: RegistryMap): Catalogue {
  return compose(config, { registryMap });
}

function compose(
  config: Config,
  {
    registryMap,
    intern,
  }: { readonly registryMap?: RegistryMap | undefined; readonly intern?: InternUpstream | undefined },
): Catalogue {
  const registries = Object.entries(config.registries).map(([name, registry]) => [name, registryOf(registry)] as const);
  const { catalogue, problems } = composeCatalogue({
    registries: Object.fromEntries(registries),
    includeKnown: config.known_registries,
    intern,
    ...(registryMap === undefined ? {} : { registryMap }),
    ...(config.default_registry === undefined ? {} : { defaultRegistry: config.default_registry }),
    ...(config.domain_suffix === undefined ? {} : { domainSuffix: config.domain_suffix }),
    ...(config.allow_any === false ? {} : { allowAny: config.allow_any }),
  });
  if (catalogue === undefined) throw new SettingsError(problems);
  return catalogue;
}

function registryOf({ aliases, upstreams, delivery, library }: RegistryConfig): RegistryOptions {
  return {
    aliases,
    delivery,
    ...(upstreams === undefined ? {} : { upstreams: upstreams.map(upstreamOf) }),
    ...(library === undefined ? {} : { library }),
  };
}

function upstreamOf(upstream: UpstreamConfig): UpstreamOptions {
  const { url, name, credentials, headers, capabilities, tls, transport, redirect_hosts, token_realms } = upstream;
  return {
    url,
    headers,
    capabilities,
    tokenRealms: token_realms,
    ...(name === undefined ? {} : { name }),
    ...(credentials === undefined ? {} : { credentials }),
    ...(tls === undefined ? {} : { tls: tlsOf(tls) }),
    ...(transport === undefined ? {} : { transport: transportOf(transport) }),
    ...(redirect_hosts === undefined ? {} : { redirectHosts: redirect_hosts }),
  };
}

async function readRegistryMap(source: string, config: Config): Promise<RegistryMap> {
  const text = /^https?:\/\//i.test(source) ? await downloadMap(source, config) : await readMapFile(source);
  const { map, problems } = parseRegistryMap(text);
  if (map === undefined) throw new SettingsError(problems);
  return map;
}

async function readMapFile(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    throw new SettingsError([`registry_map: cannot read ${path}: ${(error as Error).message}`]);
  }
}

async function downloadMap(source: string, config: Config): Promise<string> {
  const resolver = await resolverOf(config);
  const client = await httpClientOf(config, { shared: resolver === undefined ? {} : { resolver } });
  const url = new URL(source);
  try {
    const { status, body } = await client.fetch({
      method: 'GET',
      url,
      headers: {},
      addresses: { kind: 'any' },
      maxBytes: MAX_REGISTRY_MAP_LENGTH,
    });
    if (status !== 200) throw new Error(`the answer was ${status}`);
    return body.toString('utf8');
  } catch (error) {
    throw new SettingsError([`registry_map: cannot get ${url.origin}${url.pathname}: ${(error as Error).message}`]);
  } finally {
    await client.close();
    resolver?.close();
  }
}
