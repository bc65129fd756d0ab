import { parseBoundedJson } from '../lib/index.ts';
import { canonicalHost, isRegistryName } from './host.ts';
import { parseUpstreamUrl, type UpstreamUrl } from './upstream-options.ts';

/** A parsed registry map in crproxy's format. */
export interface RegistryMap {
  /** The value of the key `default`. */
  readonly default: string | undefined;
  readonly entries: readonly RegistryMapEntry[];
}

export interface RegistryMapEntry {
  /** A host, or a word such as `ghcr`. */
  readonly key: string;
  readonly url: UpstreamUrl;
}

/** Bounds of a map: characters, and entries. */
export const MAX_REGISTRY_MAP_LENGTH = 1024 * 1024;
const MAX_ENTRIES = 1000;

/**
 * Reads a `registrymap.json` of crproxy: a JSON object of names and addresses, `{"ghcr": "https://ghcr.io"}`.
 *
 * @returns the map, or all its problems
 */
export function parseRegistryMap(
  text: string,
):
  | { readonly map: RegistryMap; readonly problems: readonly [] }
  | { readonly map: undefined; readonly problems: readonly string[] } {
  const json = parseObject(text);
  if (typeof json === 'string') return { map: undefined, problems: [json] };
  const problems: string[] = [];
  const entries: RegistryMapEntry[] = [];
  let byDefault: string | undefined;
  for (const [key, value] of Object.entries(json)) {
    const name = canonicalHost(key) ?? key;
    const url = typeof value === 'string' ? parseUpstreamUrl(value) : 'expected an address in quotes';
    if (typeof url === 'string') problems.push(`registry_map.${key}: ${url}`);
    else if (name === 'default') byDefault = url.url;
    else if (name === 'api' || name === 'ui') {
      problems.push(`registry_map.${key}: expected another name: /${name} is reserved for this server`);
    } else if (isRegistryName(name)) entries.push({ key: name, url });
    else problems.push(`registry_map.${key}: expected a host, or a word of lower-case letters and digits`);
  }
  return problems.length === 0 ? { map: { default: byDefault, entries }, problems: [] } : { map: undefined, problems };
}

function parseObject(text: string): Record<string, unknown> | string {
  if (text.length > MAX_REGISTRY_MAP_LENGTH) {
    return `registry_map: found ${text.length} characters, and at most ${MAX_REGISTRY_MAP_LENGTH} are read`;
  }
  let json: unknown;
  try {
    json = parseBoundedJson(Buffer.from(text));
  } catch (error) {
    return `registry_map: it is not JSON: ${error instanceof Error ? error.message.slice(0, 200) : 'unreadable'}`;
  }
  if (typeof json !== 'object' || json === null || Array.isArray(json)) {
    return 'registry_map: expected a JSON object, e.g. {"ghcr": "https://ghcr.io"}';
  }
  const count = Object.keys(json).length;
  return count > MAX_ENTRIES
    ? `registry_map: found ${count} entries, and at most ${MAX_ENTRIES} are read`
    : (json as Record<string, unknown>);
}
