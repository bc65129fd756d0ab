import type { ConfigProblem, Path, Tree } from '../config/index.ts';
import { NO_SETTINGS, type Setting } from './draft.ts';
import type { MapTree } from './fields.ts';

/** A setting of one file, with the program that the file is of. */
export interface OwnedSetting extends Setting {
  readonly program: string;
}

/** The settings of all files in the shape of the configuration. */
export type Node =
  | { readonly kind: 'value'; readonly setting: OwnedSetting }
  | { readonly kind: 'map'; readonly entries: Map<string, Node> }
  | { readonly kind: 'list'; readonly items: Map<string, { readonly node: Node; readonly last: boolean }> };

interface Composed {
  readonly root: Extract<Node, { kind: 'map' }>;
  /** What one file says against another, or against itself: which value is used. */
  readonly contradictions: readonly ConfigProblem[];
}

/**
 * Joins settings. Lists grow, items with one identity are joined; of two values for one option the later one is used, and
 * the contradiction is named. Defaults of other programs give way without a word.
 */
export function compose(settings: readonly OwnedSetting[]): Composed {
  const root: Composed['root'] = { kind: 'map', entries: new Map() };
  const contradictions: ConfigProblem[] = [];
  const replaced = (earlier: readonly OwnedSetting[], setting: OwnedSetting): void => {
    for (const each of earlier) {
      if (each.isDefault === true || (each.value === setting.value && each.path.length === setting.path.length))
        continue;
      const { file, key } = { file: fileOf(each), key: each.origin.key };
      const isOverride = each.program === setting.program && file !== fileOf(setting);
      contradictions.push({
        ...setting.origin,
        message: isOverride
          ? `used instead of ${key} in ${file}`
          : `contradicts ${key} in ${file}, line ${lineOf(each)}; this one is used, the later of the two`,
      });
    }
  };
  const inOrder = [...settings].sort((a, b) => Number(b.isDefault === true) - Number(a.isDefault === true));
  for (const setting of inOrder) insert(root, setting, replaced);
  return { root, contradictions };
}

type Replaced = (earlier: readonly OwnedSetting[], setting: OwnedSetting) => void;

function insert(root: Composed['root'], setting: OwnedSetting, replaced: Replaced): void {
  const { path, value } = setting;
  let at: Node = root;
  for (const [index, step] of path.entries()) {
    const key = typeof step === 'string' ? step : step.item;
    const next = path[index + 1];
    const isLast = index === path.length - 1;
    const found: Node | undefined = childOf(at, key);
    if (isLast) {
      // A registry that is listed without settings may have some.
      if (value === NO_SETTINGS && found !== undefined && (found.kind === 'map' || isEmpty(found))) return;
      if (found !== undefined) replaced(settingsOf(found), setting);
      put(at, step, { kind: 'value', setting });
      return;
    }
    const kind = typeof next === 'string' ? 'map' : 'list';
    if (found?.kind === kind) {
      at = found;
      continue;
    }
    if (found !== undefined && !isEmpty(found)) replaced(settingsOf(found), setting);
    const fresh: Node = kind === 'map' ? { kind, entries: new Map() } : { kind, items: new Map() };
    put(at, step, fresh);
    at = fresh;
  }
}

function isEmpty(node: Node): boolean {
  return node.kind === 'value' && node.setting.value === NO_SETTINGS;
}

function childOf(node: Node, key: string): Node | undefined {
  if (node.kind === 'map') return node.entries.get(key);
  return node.kind === 'list' ? node.items.get(key)?.node : undefined;
}

function put(at: Node, step: Setting['path'][number], node: Node): void {
  if (at.kind === 'map' && typeof step === 'string') at.entries.set(step, node);
  if (at.kind === 'list' && typeof step !== 'string') at.items.set(step.item, { node, last: step.last === true });
}

/** The children of a node with their keys or positions. Items that come last are after all others. */
export function childrenOf(node: Node): readonly (readonly [string | number, Node])[] {
  if (node.kind === 'map') return [...node.entries];
  if (node.kind === 'value') return [];
  const items = [...node.items.values()];
  const inOrder = [...items.filter(({ last }) => !last), ...items.filter(({ last }) => last)];
  return inOrder.map(({ node: inner }, at) => [at, inner] as const);
}

/** Every setting below a node, with its path. */
export function* placedSettings(
  node: Node,
  path: Path = [],
): Generator<{ readonly path: Path; readonly setting: OwnedSetting }> {
  if (node.kind === 'value') yield { path, setting: node.setting };
  else for (const [key, inner] of childrenOf(node)) yield* placedSettings(inner, [...path, key]);
}

function settingsOf(node: Node): readonly OwnedSetting[] {
  return [...placedSettings(node)].map(({ setting }) => setting);
}

/** The configuration as a tree whose places are those of the imported files. */
export function treeOf(node: Composed['root']): MapTree {
  const tree = convert(node);
  return tree.kind === 'map' ? tree : { kind: 'map', source: tree.source, entries: new Map() };
}

const NOWHERE: Tree['source'] = { kind: 'file', file: '', line: 1, column: 1 };

function convert(node: Node): Tree {
  if (node.kind === 'value') {
    const { value, origin } = node.setting;
    return value === NO_SETTINGS
      ? { kind: 'map', source: origin.source, entries: new Map() }
      : { kind: 'scalar', source: origin.source, value };
  }
  const children = childrenOf(node).map(([key, inner]) => [String(key), convert(inner)] as const);
  const source = children[0]?.[1].source ?? NOWHERE;
  if (node.kind === 'map') return { kind: 'map', source, entries: new Map(children) };
  return { kind: 'list', source, items: children.map(([, tree]) => tree) };
}

function fileOf({ origin: { source } }: Setting): string {
  return source.kind === 'file' ? source.file : '';
}

function lineOf({ origin: { source } }: Setting): number {
  return source.kind === 'file' ? source.line : 0;
}
