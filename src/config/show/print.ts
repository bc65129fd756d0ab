import { formatKey, formatSource } from '../problems.ts';
import type { LoadedConfig } from '../read/index.ts';
import { loadYaml } from '../read/index.ts';
import { configSchema, fallbacks, isSection, type Option, outline, redactAll } from '../schema/index.ts';
import { type Path, scalarsOf, toPlain, treeAt } from '../tree.ts';

/**
 * The effective configuration as YAML: every option as it would be written, with the place of each value that is not a
 * default (`# entrepot.yaml:3:1`). Secrets are masked.
 */
export async function printConfig(loaded: LoadedConfig): Promise<string> {
  const yaml = await loadYaml();
  const document = new yaml.Document(redactAll(configSchema, effective(loaded)));
  yaml.visit(document, {
    Scalar(key, node, ancestors) {
      if (key === 'key') return;
      const source = treeAt(loaded.settings, pathTo([...ancestors, node]))?.source;
      if (source !== undefined) node.comment = ` ${formatSource(source)}`;
    },
    Collection(_, node, ancestors) {
      node.flow = node.items.length === 0;
      const source = node.flow ? treeAt(loaded.settings, pathTo([...ancestors, node]))?.source : undefined;
      if (source !== undefined) node.comment = ` ${formatSource(source)}`;
    },
  });
  return document.toString({ lineWidth: 0 });

  /** The path of keys and positions to the last of nested nodes. */
  function pathTo(nodes: readonly unknown[]): Path {
    return nodes.flatMap((node, index): PropertyKey[] => {
      const child = nodes[index + 1];
      if (yaml.isPair(node)) return [String(yaml.isScalar(node.key) ? node.key.value : node.key)];
      if (yaml.isSeq(node)) return [node.items.indexOf(child)];
      return [];
    });
  }
}

/** The same as JSON: `config` as it would be written, and `sources` with the places of values by key. */
export function printConfigJson(loaded: LoadedConfig): string {
  const sources: Record<string, string> = {};
  for (const { path, source, value } of scalarsOf(loaded.settings)) {
    if (value !== null) sources[formatKey(path)] = formatSource(source);
  }
  return `${JSON.stringify({ source: loaded.source, config: redactAll(configSchema, effective(loaded)), sources }, null, 2)}\n`;
}

function effective({ config, settings }: LoadedConfig): unknown {
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
