import { formatKey, type Path, type Source, type Tree } from '../../config/index.ts';
import type { ProgramDocument, Word } from '../document.ts';
import type { Draft } from '../draft.ts';
import { type MapTree, type Naming, nameOf } from '../fields.ts';

/** Deepest option that a variable can name. */
const MAX_DEPTH = 8;

/** The options of one file or of one set of variables. */
export interface NamedTree {
  readonly tree: MapTree;
  readonly naming: Naming;
}

/**
 * The options that a program takes from variables (`MIRROR_REGISTRY_HOT_URL`), as the tree of a file would have them.
 *
 * @param options.isSplit whether an underscore after this path leads one level deeper. @default always
 */
export function treeOfVariables(
  { variables, source }: ProgramDocument,
  options: { readonly prefix: string; readonly isSplit?: (path: readonly string[]) => boolean },
): NamedTree {
  const { prefix, isSplit = () => true } = options;
  const names = new Map<string, string>();
  const root = new Branch();
  for (const [name, { text, source: place }] of variables) {
    if (!name.startsWith(prefix)) continue;
    const path = pathOf(name.slice(prefix.length).toLowerCase(), isSplit);
    if (path === undefined) continue;
    names.set(path.join('\0'), name);
    root.insert(path, { kind: 'scalar', source: place, value: text });
  }
  return { tree: { kind: 'map', source, entries: root.entries }, naming: { isText: true, names, prefix } };
}

/** Joins the options of a program: variables override files, and later files earlier ones. Each override is noted. */
export function joinTrees(trees: readonly NamedTree[], draft: Draft): NamedTree {
  const inOrder = trees.toSorted((a, b) => Number(a.naming.isText ?? false) - Number(b.naming.isText ?? false));
  const [first, ...others] = inOrder;
  if (first === undefined) throw new Error('found no documents to join');
  if (others.length === 0) return first;
  const names = new Map(inOrder.flatMap(({ naming }) => [...(naming.names ?? [])]));
  const naming: Naming = { isText: inOrder.some((each) => each.naming.isText === true), names };
  let { tree } = first;
  for (const { tree: over } of others) tree = overlay(tree, over, { path: [], naming, draft });
  return { tree, naming };
}

interface Overlay {
  readonly path: Path;
  readonly naming: Naming;
  readonly draft: Draft;
}

function overlay(under: MapTree, over: MapTree, { path, naming, draft }: Overlay): MapTree {
  const entries = new Map(under.entries);
  for (const [key, value] of over.entries) {
    const found = entries.get(key);
    const at = [...path, key];
    if (found?.kind === 'map' && value.kind === 'map')
      entries.set(key, overlay(found, value, { path: at, naming, draft }));
    else {
      const isOther =
        found?.kind === 'scalar' && value.kind === 'scalar' && String(found.value) !== String(value.value);
      if (isOther && found.value !== null) {
        const file = found.source.kind === 'file' ? found.source.file : '';
        draft.note(`used instead of ${formatKey(at)} in ${file}`, { source: value.source, key: nameOf(at, naming) });
      }
      entries.set(key, value);
    }
  }
  return { ...under, entries };
}

function pathOf(rest: string, isSplit: (path: readonly string[]) => boolean): readonly string[] | undefined {
  const path: string[] = [];
  for (const word of rest.split('_')) {
    if (word === '') return undefined;
    const last = path.at(-1);
    if (last !== undefined && (path.length >= MAX_DEPTH || !isSplit(path))) path[path.length - 1] = `${last}_${word}`;
    else path.push(word);
  }
  return path;
}

/** A map that grows while variables are read. */
class Branch {
  readonly entries = new Map<string, Tree>();
  readonly #inner = new Map<string, Branch>();

  insert(path: readonly string[], leaf: Tree): void {
    const [key = '', ...rest] = path;
    if (rest.length === 0) {
      this.#inner.delete(key);
      this.entries.set(key, leaf);
      return;
    }
    const inner = this.#inner.get(key) ?? new Branch();
    if (!this.#inner.has(key)) {
      this.#inner.set(key, inner);
      this.entries.set(key, { kind: 'map', source: leaf.source, entries: inner.entries });
    }
    inner.insert(rest, leaf);
  }
}

/** Flags by their name, without dashes: `-listen=:5000`, `--listen :5000`. Later ones win. */
export function readFlags(
  args: readonly Word[],
  switches: ReadonlySet<string> = new Set(),
): {
  readonly flags: ReadonlyMap<string, Word>;
  readonly rest: readonly Word[];
} {
  const flags = new Map<string, Word>();
  const rest: Word[] = [];
  for (let at = 0; at < args.length; at++) {
    const word = args[at];
    if (word === undefined) continue;
    const [, name = '', , value] = /^--?([A-Za-z][\w-]*)(=(.*))?$/s.exec(word.text) ?? [];
    if (name === '') rest.push(word);
    else if (value !== undefined) flags.set(name, { text: value, source: word.source });
    else if (switches.has(name)) flags.set(name, { text: 'true', source: word.source });
    else {
      const next = args[at + 1];
      const isValue = next !== undefined && !/^--?[A-Za-z]/.test(next.text);
      flags.set(name, { text: isValue ? next.text : '', source: word.source });
      if (isValue) at += 1;
    }
  }
  return { flags, rest };
}

/** A place in a file as a value's own: for flags and variables, whose name is their key. */
export function wordFound(
  key: string,
  word: Word | undefined,
): { readonly value: string; readonly origin: { readonly source: Source; readonly key: string } } | undefined {
  const value = word?.text.trim() ?? '';
  return word === undefined || value === '' ? undefined : { value, origin: { source: word.source, key } };
}
