import { ConfigError, type ConfigProblem, formatKey, inOrder, type Source } from '../problems.ts';
import { type Path, sourceAt, type Tree } from '../tree.ts';
import type { LoadedConfig } from './load.ts';

/**
 * Adds the places of the options to problems that were found while the configuration was applied.
 *
 * @param problems each begins with its option: `registries["ghcr.io"].aliases: "x" is …`
 */
export function locateProblems({ settings }: Pick<LoadedConfig, 'settings'>, problems: readonly string[]): ConfigError {
  const keys = new Map<string, Path>();
  if (settings !== undefined) collectKeys(settings, [], keys);
  return new ConfigError(inOrder(problems.map((problem) => locate(problem, settings, keys))));
}

function locate(problem: string, settings: Tree | undefined, keys: ReadonlyMap<string, Path>): ConfigProblem {
  const [, option = '', message = problem] = /^([\w-]+(?:\.[^.:[\]]+|\[[^\]]*\])*): (.*)$/s.exec(problem) ?? [];
  return { source: sourceOf(option, settings, keys), key: option, message };
}

/** The place of the option, or of the nearest written one around it. */
function sourceOf(option: string, settings: Tree | undefined, keys: ReadonlyMap<string, Path>): Source | undefined {
  let nearest: Path | undefined;
  let length = 0;
  for (const [key, path] of keys) {
    if (key.length > length && (option === key || option.startsWith(`${key}.`) || option.startsWith(`${key}[`))) {
      nearest = path;
      length = key.length;
    }
  }
  return nearest === undefined ? undefined : sourceAt(settings, nearest);
}

function collectKeys(tree: Tree, path: Path, keys: Map<string, Path>): void {
  if (path.length > 0) {
    keys.set(formatKey(path), path);
    // Rooms that do not know the configuration write `registries.ghcr.io.aliases`.
    keys.set(
      path
        .map((part) => (typeof part === 'number' ? `[${part}]` : `.${String(part)}`))
        .join('')
        .slice(1),
      path,
    );
  }
  if (tree.kind === 'map') for (const [key, value] of tree.entries) collectKeys(value, [...path, key], keys);
  if (tree.kind === 'list') for (const [at, item] of tree.items.entries()) collectKeys(item, [...path, at], keys);
}
