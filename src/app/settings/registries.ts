import { readFile } from 'node:fs/promises';
import type { Config } from '../../config/index.ts';
import { completeUpstream } from '../../oci/index.ts';
import {
  type Catalogue,
  type CatalogueOptions,
  composeCatalogue,
  MAX_REGISTRY_MAP_LENGTH,
  parseRegistryMap,
  type RegistryMap,
} from '../../routing/index.ts';
import { ClientPool } from './client-pool.ts';
import { SettingsError } from './error.ts';
import { imageHostsOf } from './server.ts';
import { transportOf } from './transport.ts';

interface CompositionOptions extends Pick<CatalogueOptions, 'registryMap'> {
  /** @default each catalogue has upstreams of its own */
  readonly complete?: CatalogueOptions['complete'];
}

/** The catalogue of a configuration and its registry map. @throws {SettingsError} */
export async function catalogueOf(
  config: Config,
  options: Pick<CompositionOptions, 'complete'> = {},
): Promise<Catalogue> {
  const source = config.registryMap;
  const registryMap = source === undefined ? undefined : await readRegistryMap(source, config);
  return composeRegistries(config, { ...options, registryMap });
}

/** The same without any I/O. @throws {SettingsError} */
export function composeRegistries(config: Config, { registryMap, ...options }: CompositionOptions = {}): Catalogue {
  const transport = transportOf(config);
  const { complete = (_registry, configured) => completeUpstream(configured, transport) } = options;
  const { catalogue, problems } = composeCatalogue({
    ...config,
    registryMap,
    complete,
    ownHosts: imageHostsOf(config),
  });
  if (catalogue === undefined) throw new SettingsError(problems);
  return catalogue;
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
  const clients = new ClientPool();
  const client = await clients.clientFor(transportOf(config));
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
    await clients.close();
  }
}
