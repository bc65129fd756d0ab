import { formatKey, formatSource } from '../problems.ts';
import type { LoadedConfig } from '../read/index.ts';
import { loadYaml } from '../read/index.ts';
import { configSchema, fallbacks, isSection, type Option, outline, redactAll } from '../schema/index.ts';
import { type Path, type Tree, toPlain, treeAt } from '../tree.ts';

/**
 * The configuration in effect as YAML: every option, as it would be written, and behind each that is no default where it
 * comes from (`# entrepot.yaml:3:1`). Secrets are left out.
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

  /** The keys and positions that lead to the last of a chain of nodes. */
  function pathTo(nodes: readonly unknown[]): Path {
    return nodes.flatMap((node, index): PropertyKey[] => {
      const child = nodes[index + 1];
      if (yaml.isPair(node)) return [String(yaml.isScalar(node.key) ? node.key.value : node.key)];
      if (yaml.isSeq(node)) return [node.items.indexOf(child)];
      return [];
    });
  }
}

/** The same for programs: `config` as it would be written, and `sources` by key for what is no default. */
export function printConfigJson(loaded: LoadedConfig): string {
  const sources: Record<string, string> = {};
  collectSources(loaded.settings, [], sources);
  return `${JSON.stringify({ source: loaded.source, config: redactAll(configSchema, effective(loaded)), sources }, null, 2)}\n`;
}

function collectSources(tree: Tree | undefined, path: Path, into: Record<string, string>): void {
  if (tree === undefined) return;
  if (tree.kind === 'map') for (const [key, value] of tree.entries) collectSources(value, [...path, key], into);
  else if (tree.kind === 'list') tree.items.forEach((item, index) => collectSources(item, [...path, index], into));
  else if (tree.value !== null) into[formatKey(path)] = formatSource(tree.source);
}

function effective({ config, settings }: LoadedConfig): unknown {
  const options = outline(configSchema);
  const defaults = fallbacks(options);
  if (config.cache !== 'off') defaults['cache'] = { ...(defaults['cache'] as object), dir: config.cache.dir };
  return inOrder(overlay(defaults, toPlain(settings)), options);
}

/** The keys of sections in the order of the definition, as the manual has them. */
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
