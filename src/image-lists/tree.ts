import {
  Composer,
  isAlias,
  isCollection,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  type Pair,
  Parser,
} from 'yaml';
import { printable, type Reading } from './findings.ts';

/** A value of a YAML document, with its line. Every scalar is a text. An alias is the very value of its anchor. */
export type Tree = TreeText | TreeList | TreeMap;
export interface TreeText {
  readonly kind: 'text';
  readonly line: number;
  /** Empty for null. */
  readonly text: string;
  /** A tag of its own, such as Compose's `!reset`. */
  readonly tag?: string | undefined;
}
export interface TreeList {
  readonly kind: 'list';
  readonly line: number;
  readonly items: readonly Tree[];
  readonly tag?: string | undefined;
}
export interface TreeMap {
  readonly kind: 'map';
  readonly line: number;
  readonly entries: ReadonlyMap<string, Tree>;
  readonly tag?: string | undefined;
}

const MAX_DOCUMENTS = 1000;
/** Aliases that one text resolves. */
const MAX_ALIASES = 1000;
/** Levels of one document. Kubernetes' own objects have some twenty. */
const MAX_DEPTH = 100;
/** Values of one text, with those that `<<` copies. */
const MAX_VALUES = 1_000_000;

/**
 * The documents of a YAML text (and so of JSON), without the empty ones. Anchors, aliases and `<<` hold within their document.
 *
 * @throws {ImageListError} with the line, where it is no YAML, or too much of it
 */
export function* readTrees(text: string, reading: Reading): Generator<Tree, void> {
  const lines = new LineCounter();
  // Scalars stay texts: no tag of an image becomes a number. Keys are compared here: the parser compares each with all others.
  const composer = new Composer({ schema: 'failsafe', uniqueKeys: false, prettyErrors: false, lineCounter: lines });
  const converter = new Converter(lines, reading);
  let documents = 0;
  const composed = composer.compose(new Parser(lines.addNewLine).parse(text));
  for (;;) {
    const next = nextOf(composed, reading);
    if (next.done === true) return;
    const { errors, contents } = next.value;
    const [error] = errors;
    if (error !== undefined) throw reading.refusal(Math.max(1, lines.linePos(error.pos[0]).line), whyNoYaml(text));
    if (contents === null || (isScalar(contents) && contents.source === '')) continue;
    documents += 1;
    if (documents > MAX_DOCUMENTS) {
      throw reading.refusal(
        lines.linePos(contents.range?.[0] ?? 0).line,
        `found more than ${MAX_DOCUMENTS} documents; split the file`,
      );
    }
    yield converter.document(contents);
  }
}

function nextOf<T>(composed: Generator<T, void>, reading: Reading): IteratorResult<T, void> {
  try {
    return composed.next();
  } catch (error) {
    // The parser goes down by calls: brackets within brackets end its stack.
    if (error instanceof RangeError)
      throw reading.refusal(1, `found more than ${MAX_DEPTH} levels, expected a plainer file`);
    throw error;
  }
}

function whyNoYaml(text: string): string {
  return /\{\{|\{%/.test(text)
    ? 'found a template, expected what it becomes; render a chart with `helm template`'
    : 'it cannot be read as YAML; expected a list of images, a Compose file, Kubernetes manifests or a Dockerfile';
}

class Converter {
  readonly #lines: LineCounter;
  readonly #reading: Reading;
  #anchors = new Map<string, Tree>();
  #aliases = 0;
  #values = 0;

  constructor(lines: LineCounter, reading: Reading) {
    this.#lines = lines;
    this.#reading = reading;
  }

  document(contents: Node): Tree {
    this.#anchors = new Map();
    return this.#convert(contents, { line: 1, depth: 0 });
  }

  /** @param at `line`: of an empty value, which has none of its own; `keyLine`: of a map or list that a key has */
  #convert(node: unknown, at: { readonly line: number; readonly depth: number; readonly keyLine?: number }): Tree {
    const line = (isCollection(node) ? at.keyLine : undefined) ?? this.#lineOf(node) ?? at.line;
    if (at.depth > MAX_DEPTH) {
      throw this.#reading.refusal(line, `found more than ${MAX_DEPTH} levels, expected a plainer file`);
    }
    this.#count(1, line);
    if (isAlias(node)) return this.#alias(node.source, line);
    const tree = this.#plain(node, { line, depth: at.depth + 1 });
    // After its content: an alias of a value within itself has no end.
    if ((isScalar(node) || isCollection(node)) && node.anchor !== undefined) this.#anchors.set(node.anchor, tree);
    return tree;
  }

  #plain(node: unknown, at: { readonly line: number; readonly depth: number }): Tree {
    const { line } = at;
    if (isSeq(node)) {
      return { kind: 'list', line, tag: node.tag, items: node.items.map((item) => this.#convert(item, at)) };
    }
    if (isMap(node)) return { kind: 'map', line, tag: node.tag, entries: this.#entries(node.items, at) };
    if (!isScalar(node)) return { kind: 'text', line, text: '' };
    const { value, source, type, tag } = node;
    const isNull = type === 'PLAIN' && (source === '~' || /^null$/i.test(source ?? ''));
    return { kind: 'text', line, tag, text: isNull || typeof value !== 'string' ? '' : value };
  }

  #entries(pairs: readonly Pair[], at: { readonly line: number; readonly depth: number }): ReadonlyMap<string, Tree> {
    const own = new Map<string, Tree>();
    const merged = new Map<string, Tree>();
    for (const { key, value } of pairs) {
      const line = this.#lineOf(key) ?? at.line;
      const name = isScalar(key) ? String(key.value) : '';
      const tree = this.#convert(value, { line, keyLine: line, depth: at.depth });
      if (name !== '<<') {
        own.set(name, tree);
        continue;
      }
      for (const from of tree.kind === 'list' ? tree.items : [tree]) {
        if (from.kind !== 'map')
          throw this.#reading.refusal(line, 'found "<<" without a map, expected an alias of one (*name)');
        this.#count(from.entries.size, line);
        for (const [each, inner] of from.entries) if (!merged.has(each)) merged.set(each, inner);
      }
    }
    if (merged.size === 0) return own;
    for (const [name, tree] of own) merged.set(name, tree);
    return merged;
  }

  #alias(name: string, line: number): Tree {
    this.#aliases += 1;
    if (this.#aliases > MAX_ALIASES) {
      throw this.#reading.refusal(line, `found more than ${MAX_ALIASES} aliases (*name), expected a plainer file`);
    }
    const target = this.#anchors.get(name);
    if (target === undefined) {
      throw this.#reading.refusal(
        line,
        `found an alias (*name) whose anchor ${printable(`&${name}`)} does not come before it`,
      );
    }
    return target;
  }

  #count(values: number, line: number): void {
    this.#values += values;
    if (this.#values > MAX_VALUES) {
      throw this.#reading.refusal(line, `found more than ${MAX_VALUES} values, expected a plainer file`);
    }
  }

  #lineOf(node: unknown): number | undefined {
    if (!isScalar(node) && !isCollection(node) && !isAlias(node)) return undefined;
    const offset = node.range?.[0];
    return offset === undefined ? undefined : this.#lines.linePos(offset).line;
  }
}

/** The value of a key; undefined where the value is no map, or has no such key. */
export function childOf(tree: Tree | undefined, key: string): Tree | undefined {
  return tree?.kind === 'map' ? tree.entries.get(key) : undefined;
}

/** A text that is not empty; undefined where it is anything else. */
export function textOf(tree: Tree | undefined): string | undefined {
  return tree?.kind === 'text' && tree.text !== '' ? tree.text : undefined;
}

export function itemsOf(tree: Tree | undefined): readonly Tree[] {
  return tree?.kind === 'list' ? tree.items : [];
}

export function entriesOf(tree: Tree | undefined): readonly (readonly [string, Tree])[] {
  return tree?.kind === 'map' ? [...tree.entries] : [];
}
