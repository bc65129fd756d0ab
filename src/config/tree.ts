import type { Source } from './problems.ts';

/**
 * A configuration as written, each value with its place.
 *
 * Layers (file, environment, flags) are merged in this form, so problems and `config print` can name the place of a value.
 */
export type Tree =
  | { readonly kind: 'map'; readonly source: Source; readonly entries: ReadonlyMap<string, Tree> }
  | { readonly kind: 'list'; readonly source: Source; readonly items: readonly Tree[] }
  | { readonly kind: 'scalar'; readonly source: Source; readonly value: Scalar };

export type Scalar = string | number | boolean | null;
export type Path = readonly PropertyKey[];

/** Lays one tree over another: maps are merged key by key, other values are replaced. A null overrides nothing. */
export function mergeTrees(under: Tree | undefined, over: Tree | undefined): Tree | undefined {
  if (over === undefined || isNull(over)) return under ?? over;
  if (under?.kind !== 'map' || over.kind !== 'map') return over;
  const entries = new Map(under.entries);
  for (const [key, value] of over.entries) entries.set(key, mergeTrees(entries.get(key), value) ?? value);
  return { kind: 'map', source: over.source, entries };
}

export function isMap(tree: Tree | undefined): tree is Extract<Tree, { kind: 'map' }> {
  return tree?.kind === 'map';
}

export function isList(tree: Tree | undefined): tree is Extract<Tree, { kind: 'list' }> {
  return tree?.kind === 'list';
}

export function isNull(tree: Tree): boolean {
  return tree.kind === 'scalar' && tree.value === null;
}

/** The value at a path, if there is one. */
export function treeAt(tree: Tree | undefined, path: Path): Tree | undefined {
  let at = tree;
  for (const part of path) {
    if (at?.kind === 'map') at = at.entries.get(String(part));
    else if (at?.kind === 'list') at = at.items[Number(part)];
    else return undefined;
  }
  return at;
}

/** The place of the value at a path, or of the nearest value around it. */
export function sourceAt(tree: Tree | undefined, path: Path): Source | undefined {
  for (let length = path.length; length >= 0; length--) {
    const found = treeAt(tree, path.slice(0, length));
    if (found !== undefined) return found.source;
  }
  return undefined;
}

/** Every scalar of a tree with its path and place, in order. */
export function* scalarsOf(
  tree: Tree | undefined,
  path: Path = [],
): Generator<Extract<Tree, { kind: 'scalar' }> & { readonly path: Path }> {
  if (tree?.kind === 'map') for (const [key, value] of tree.entries) yield* scalarsOf(value, [...path, key]);
  else if (tree?.kind === 'list') for (const [at, item] of tree.items.entries()) yield* scalarsOf(item, [...path, at]);
  else if (tree !== undefined) yield { ...tree, path };
}

/** A tree with one value at a path: that of a single variable or flag. */
export function treeOf(path: readonly string[], leaf: Tree): Tree {
  return path.reduceRight<Tree>(
    (inner, key) => ({ kind: 'map', source: leaf.source, entries: new Map([[key, inner]]) }),
    leaf,
  );
}

/**
 * The plain value. A key without a value (`cache:` with everything below it commented out) means its default, so it is
 * left out; a registry without a value (`ghcr.io:`) is listed without settings.
 *
 * Objects have no prototype, so that `__proto__` is a key like any other.
 */
export function toPlain(tree: Tree | undefined): unknown {
  return tree === undefined || isNull(tree) ? {} : plain(tree, []);
}

function plain(tree: Tree, path: readonly string[]): unknown {
  if (tree.kind === 'scalar') return tree.value;
  if (tree.kind === 'list') return tree.items.map((item) => plain(item, [...path, '']));
  const object: Record<string, unknown> = Object.create(null) as Record<string, unknown>;
  for (const [key, value] of tree.entries) {
    if (!isNull(value)) object[key] = plain(value, [...path, key]);
    else if (path.length === 1 && path[0] === 'registries') object[key] = {};
  }
  return object;
}
