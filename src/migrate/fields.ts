import { formatKey, type Path, type Scalar, type Source, type Tree } from '../config/index.ts';
import type { Draft, Found, Origin } from './draft.ts';
import { parseGoDuration } from './go-duration.ts';

export type MapTree = Extract<Tree, { kind: 'map' }>;

/** How the values of a file are named and written. */
export interface Naming {
  /** The variables that values come from, by their path joined with `\0`. Other values have their path as name. */
  readonly names?: ReadonlyMap<string, string>;
  /** What all variables begin with, where every value comes from one. */
  readonly prefix?: string;
  /** Whether numbers, truth values and lists are written as text, as in variables. @default false */
  readonly isText?: boolean;
}

/**
 * Reads the map of an imported file by type. A value of a wrong type is reported with its place; a value that is never asked
 * for is reported as not carried over, so nothing is dropped without a word.
 */
export class Fields {
  readonly #tree: MapTree;
  readonly #path: Path;
  readonly #draft: Draft;
  readonly #naming: Naming;
  readonly #taken = new Set<string>();
  readonly #inner: Fields[] = [];

  constructor(tree: MapTree, draft: Draft, { naming = {}, path = [] }: { naming?: Naming; path?: Path } = {}) {
    this.#tree = tree;
    this.#path = path;
    this.#draft = draft;
    this.#naming = naming;
  }

  /** The place of the map itself. */
  get origin(): Origin {
    return this.#originAt(this.#path, this.#tree.source);
  }

  get keys(): readonly string[] {
    return [...this.#tree.entries.keys()];
  }

  /** Whether the map has a value under a key, and not null. */
  has(key: string): boolean {
    const tree = this.#tree.entries.get(key);
    return tree !== undefined && !isNull(tree);
  }

  originOf(key: string): Origin {
    return this.#originAt([...this.#path, key], this.#tree.entries.get(key)?.source ?? this.#tree.source);
  }

  /** A text that is not empty. */
  text(key: string): Found<string> | undefined {
    return this.#scalar(key, 'a text (in quotes where it looks like a number)', (value) =>
      typeof value === 'string' ? value.trim() : undefined,
    );
  }

  number(key: string): Found<number> | undefined {
    return this.#scalar(key, 'a number', (value) => {
      if (typeof value === 'number') return value;
      return this.#naming.isText === true && typeof value === 'string' && /^-?\d+(?:\.\d+)?$/.test(value)
        ? Number(value)
        : undefined;
    });
  }

  flag(key: string): Found<boolean> | undefined {
    return this.#scalar(key, 'true or false', (value) => {
      if (typeof value === 'boolean') return value;
      if (this.#naming.isText !== true) return undefined;
      const word = String(value).toLowerCase();
      if (['1', 't', 'true', 'yes', 'on'].includes(word)) return true;
      return ['0', 'f', 'false', 'no', 'off'].includes(word) ? false : undefined;
    });
  }

  /** A length of time as Go writes it, in milliseconds. */
  duration(key: string, { numbersAre }: { readonly numbersAre?: 'nanoseconds' } = {}): Found<number> | undefined {
    return this.#scalar(key, 'a length of time such as 500ms, 30s or 1h30m', (value) => {
      if (value === 0 || value === '0') return 0;
      if (typeof value === 'number') return numbersAre === 'nanoseconds' ? value / 1e6 : undefined;
      return typeof value === 'string' ? parseGoDuration(value) : undefined;
    });
  }

  /** A list of texts. @param one a single text is valid too */
  texts(key: string, { one = false }: { readonly one?: boolean } = {}): readonly Found<string>[] {
    const tree = this.take(key);
    if (tree === undefined) return [];
    if (tree.kind === 'scalar' && typeof tree.value === 'string') {
      if (tree.value === '') return [];
      if (one) return [{ value: tree.value, origin: this.originOf(key) }];
      if (this.#naming.isText === true)
        return tree.value.split(',').map((value) => ({ value: value.trim(), origin: this.originOf(key) }));
    }
    if (tree.kind !== 'list') {
      this.#wrongType(key, tree, one ? 'a text, or a list of texts' : 'a list of texts');
      return [];
    }
    return tree.items.flatMap((item, at) => {
      const origin = this.#originAt([...this.#path, key, at], item.source);
      if (item.kind === 'scalar' && typeof item.value === 'string') return [{ value: item.value, origin }];
      this.#draft.problem(origin, `found ${describe(item)}, expected a text`);
      return [];
    });
  }

  map(key: string): Fields | undefined {
    const tree = this.take(key);
    if (tree === undefined) return undefined;
    if (tree.kind === 'map') return this.#open(tree, [...this.#path, key]);
    this.#wrongType(key, tree, 'a map');
    return undefined;
  }

  /** The maps of a list. @param one a single map is valid too */
  maps(key: string): readonly Fields[] {
    const tree = this.take(key);
    if (tree === undefined) return [];
    if (tree.kind !== 'list') {
      this.#wrongType(key, tree, 'a list of maps');
      return [];
    }
    return tree.items.flatMap((item, at) => {
      const path = [...this.#path, key, at];
      if (item.kind === 'map') return [this.#open(item, path)];
      this.#draft.problem(this.#originAt(path, item.source), `found ${describe(item)}, expected a map`);
      return [];
    });
  }

  /** The value of a key, which then counts as read; undefined for null. */
  take(key: string): Tree | undefined {
    this.#taken.add(key);
    const tree = this.#tree.entries.get(key);
    return tree === undefined || isNull(tree) ? undefined : tree;
  }

  /** Reports keys as not carried over, where they are written. */
  lose(keys: readonly string[], message: string): void {
    for (const key of keys) if (this.take(key) !== undefined) this.#draft.lose(this.originOf(key), message);
  }

  /** Reports every value that was not read, here and in the maps that were. */
  loseRest(message = 'import knows no such option'): void {
    const unread = this.keys.filter((key) => !this.#taken.has(key) && this.has(key));
    for (const key of unread) this.#draft.lose(this.originOf(key), message);
    for (const inner of this.#inner) inner.loseRest(message);
  }

  #open(tree: MapTree, path: Path): Fields {
    const inner = new Fields(tree, this.#draft, { naming: this.#naming, path });
    this.#inner.push(inner);
    return inner;
  }

  #scalar<T extends Scalar>(
    key: string,
    expected: string,
    read: (value: Scalar) => T | undefined,
  ): Found<T> | undefined {
    const tree = this.take(key);
    if (tree === undefined || (tree.kind === 'scalar' && tree.value === '')) return undefined;
    const value = tree.kind === 'scalar' ? read(tree.value) : undefined;
    if (value === undefined) {
      this.#wrongType(key, tree, expected);
      return undefined;
    }
    return value === '' ? undefined : { value, origin: this.originOf(key) };
  }

  #wrongType(key: string, tree: Tree, expected: string): void {
    this.#draft.problem(this.originOf(key), `found ${describe(tree)}, expected ${expected}`);
  }

  #originAt(path: Path, source: Source): Origin {
    return { source, key: nameOf(path, this.#naming) };
  }
}

/** The name of a value in its file: `registry.hot.url`, or `MIRROR_REGISTRY_HOT_URL`. */
export function nameOf(path: Path, { names, prefix }: Naming): string {
  const name = names?.get(path.join('\0'));
  if (name !== undefined) return name;
  return prefix === undefined ? formatKey(path) : `${prefix}${path.join('_').toUpperCase()}`.replace(/_$/, '');
}

function isNull(tree: Tree): boolean {
  return tree.kind === 'scalar' && tree.value === null;
}

/** What a value is. A text is not quoted: it may be a secret. */
function describe(tree: Tree): string {
  if (tree.kind !== 'scalar') return `a ${tree.kind}`;
  if (typeof tree.value === 'string') return 'another text';
  return tree.value === null ? 'nothing' : String(tree.value);
}
