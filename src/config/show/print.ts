import { formatKey, formatSource } from '../problems.ts';
import type { LoadedConfig } from '../read/index.ts';
import { loadYaml } from '../read/index.ts';
import { configSchema, redactAll } from '../schema/index.ts';
import { type Path, scalarsOf, treeAt } from '../tree.ts';
import { effective } from './effective.ts';

/**
 * The effective configuration as YAML: every option as it would be written, with the place of each value that is not a
 * default (`# entrepot.yaml:3:1`). Secrets are masked.
 */
export async function printConfig(loaded: Pick<LoadedConfig, 'config' | 'settings'>): Promise<string> {
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
