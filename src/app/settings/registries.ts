import { readFile } from 'node:fs/promises';
import type { Config } from '../../config/index.ts';
import {
  type Catalogue,
  type CatalogueOptions,
  composeCatalogue,
  type InternUpstream,
  MAX_REGISTRY_MAP_LENGTH,
  parseRegistryMap,
  type RegistryMap,
} from '../../routing/index.ts';
import { SettingsError } from './error.ts';
import { httpClientOf, resolverOf } from './transport.ts';

/** The catalogue of a configuration and its registry map. @throws {SettingsError} */
export async function catalogueOf(
  config: Config,
  { intern }: { readonly intern?: InternUpstream } = {},
): Promise<Catalogue> {
  const source = config.registryMap;
  const registryMap = source === undefined ? undefined : await readRegistryMap(source, config);
  return composeRegistries(config, { registryMap, intern });
}

/** The same without any I/O. @throws {SettingsError} */
export function composeRegistries(
  config: Config,
  { registryMap, intern }: Pick<CatalogueOptions, 'registryMap' | 'intern'> = {},
): Catalogue {
  const { catalogue, problems } = composeCatalogue({ ...config, registryMap, intern });
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
