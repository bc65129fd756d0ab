import type { LoadedConfig } from '../read/index.ts';
import { configSchema, fallbacks, isSection, type Option, outline } from '../schema/index.ts';
import { toPlain } from '../tree.ts';

/** The configuration in effect as it would be written, defaults included and in the order of the definition. Secrets are in it. */
export function effective({ config, settings }: Pick<LoadedConfig, 'config' | 'settings'>): unknown {
  const options = outline(configSchema);
  const defaults = fallbacks(options);
  if (config.cache !== 'off') defaults['cache'] = { ...(defaults['cache'] as object), dir: config.cache.dir };
  return inOrder(overlay(defaults, toPlain(settings)), options);
}

/** Sorts the keys of sections in the order of the definition. */
function inOrder(value: unknown, options: readonly Option[]): unknown {
  if (!isMap(value) || !isSection(options)) return value;
  const keys = options.map(({ path, options: inner }) => ({ key: path.at(-1) ?? '', inner }));
  const pairs = keys
    .filter(({ key }) => Object.hasOwn(value, key))
    .map(({ key, inner }) => [key, inOrder(value[key], inner)]);
  return Object.fromEntries(pairs);
}

function overlay(under: unknown, over: unknown): unknown {
  if (!isMap(under) || !isMap(over)) return over;
  const joined: Record<string, unknown> = { ...under };
  for (const [key, value] of Object.entries(over))
    joined[key] = Object.hasOwn(under, key) ? overlay(under[key], value) : value;
  return joined;
}

function isMap(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
