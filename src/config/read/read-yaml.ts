import type { ErrorCode, Node, Pair } from 'yaml';
import { type ConfigProblem, formatKey, type Source } from '../problems.ts';
import type { Scalar, Tree } from '../tree.ts';
import { loadYaml } from './load-yaml.ts';

/** Values in one configuration, aliases expanded: far above any real one, and low enough to stop an alias bomb. */
const MAX_VALUES = 50_000;
const MAX_DEPTH = 32;

/** The types of JSON by their YAML names; `!` marks a plain value. */
const TAGS: ReadonlySet<string> = new Set([
  '!',
  ...['str', 'int', 'float', 'bool', 'null', 'map', 'seq'].map((name) => `tag:yaml.org,2002:${name}`),
]);

interface ReadYaml {
  /** Undefined if the text is empty or cannot be read. */
  readonly tree: Tree | undefined;
  readonly problems: readonly ConfigProblem[];
}

/** Reads YAML 1.2 (and so JSON) into a tree with the place of each value. Supports anchors, aliases and `<<`. */
export async function readYaml(text: string, sourceAt: (line: number, column: number) => Source): Promise<ReadYaml> {
  const yaml = await loadYaml();
  const lines = new yaml.LineCounter();
  const document = yaml.parseDocument(text, {
    lineCounter: lines,
    prettyErrors: false,
    merge: true,
    // With 'silent', a second document would be dropped without an error.
    logLevel: 'error',
  });
  const problems: ConfigProblem[] = [];
  const at = (offset: number | undefined): Source => {
    const { line, col } = lines.linePos(offset ?? 0);
    return sourceAt(Math.max(line, 1), Math.max(col, 1));
  };
  const refuse = (source: Source, message: string, key = '') => {
    problems.push({ source, key, message });
  };
  /**
   * The whole name of the first key from an offset on, and where it begins. The parser reports a key behind an empty value
   * at the end of that value.
   */
  function keyFrom(offset: number): { readonly name: string; readonly offset: number } {
    let found = { name: '', offset };
    yaml.visit(document, {
      Pair(_, { key }, ancestors) {
        const begin = yaml.isScalar(key) ? key.range?.[0] : undefined;
        if (begin === undefined || begin < offset) return undefined;
        const path = [...ancestors, { key }].flatMap((node, index): PropertyKey[] => {
          if (yaml.isSeq(node)) return [node.items.indexOf(ancestors[index + 1])];
          const own = typeof node === 'object' && node !== null && 'key' in node ? node.key : undefined;
          return yaml.isScalar(own) ? [String(own.value)] : [];
        });
        found = { name: formatKey(path), offset: begin };
        return yaml.visit.BREAK;
      },
    });
    return found;
  }
  // The parser may report several errors for one place, for which we have one message.
  // Of several errors at one place, the first says what is wrong.
  const errors = new Map(document.errors.toReversed().map(({ pos: [offset], code }) => [offset, { offset, code }]));
  for (const { offset, code } of [...errors.values()].toReversed()) {
    const key = code === 'DUPLICATE_KEY' ? keyFrom(offset) : { name: '', offset };
    refuse(at(key.offset), describeError(code), key.name);
  }
  if (problems.length > 0 || document.contents === null) return { tree: undefined, problems };

  let left = MAX_VALUES;
  // Filled in document order: an alias refers to the last anchor of its name before it (YAML 1.2 §7.1).
  const anchors = new Map<string, Node>();
  function convert(node: Node | null, source: Source, depth: number): Tree {
    left -= 1;
    if (left < 0 || depth > MAX_DEPTH) {
      // Reported once: an alias bomb would repeat it thousands of times.
      if (problems.length === 0)
        refuse(source, `found more than ${MAX_VALUES} values or ${MAX_DEPTH} levels, expected a plainer file`);
      return { kind: 'scalar', source, value: null };
    }
    if (yaml.isAlias(node)) {
      const target = anchors.get(node.source);
      if (target === undefined) refuse(at(node.range?.[0]), describeError('BAD_ALIAS'));
      return convert(target ?? null, source, depth + 1);
    }
    if (node?.anchor !== undefined) anchors.set(node.anchor, node);
    if (node?.tag !== undefined && !TAGS.has(node.tag)) {
      refuse(
        source,
        'found a tag (!name) that means nothing here, expected the value itself; a secret is {env: NAME} or {file: PATH}',
      );
    }
    if (yaml.isSeq<Node | null>(node)) {
      return { kind: 'list', source, items: node.items.map((item) => convert(item, at(item?.range?.[0]), depth + 1)) };
    }
    if (yaml.isMap<Node, Node | null>(node)) return { kind: 'map', source, entries: entriesOf(node.items, depth) };
    return { kind: 'scalar', source, value: scalarOf(yaml.isScalar(node) ? node.value : null) };
  }

  function entriesOf(pairs: readonly Pair<Node, Node | null>[], depth: number): ReadonlyMap<string, Tree> {
    const own = new Map<string, Tree>();
    const merged = new Map<string, Tree>();
    for (const { key, value } of pairs) {
      const source = at(key.range?.[0]);
      const name = String(scalarOf(yaml.isScalar(key) ? key.value : null));
      if (yaml.isCollection(key))
        refuse(source, 'found a list or a map before the ":", expected the name of an option');
      const tree = convert(value, source, depth + 1);
      // These names become keys of objects, where __proto__ is special.
      if (name === '__proto__') refuse(source, 'found the key "__proto__", expected the name of an option');
      if (yaml.isScalar(key) && (key.value === '<<' || typeof key.value === 'symbol')) {
        for (const from of tree.kind === 'list' ? tree.items : [tree]) {
          if (from.kind !== 'map') refuse(source, 'found "<<" without a map, expected an alias of one (*name)');
          else for (const [each, inner] of from.entries) if (!merged.has(each)) merged.set(each, inner);
        }
      } else own.set(name, tree);
    }
    return new Map([...merged, ...own]);
  }

  const first = document.contents as Node;
  const tree = convert(first, at(first.range?.[0]), 0);
  return problems.length > 0 ? { tree: undefined, problems } : { tree, problems };
}

function scalarOf(value: unknown): Scalar {
  if (value === null || value === undefined) return null;
  if (typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean') return value;
  return typeof value === 'bigint' ? value.toString() : null;
}

/** Our own messages: those of the parser quote the text, which may contain a password. */
const ERRORS: Partial<Readonly<Record<ErrorCode, string>>> = {
  ALIAS_PROPS: 'an alias can have no anchor or tag of its own',
  BAD_ALIAS:
    'found an alias (*name) whose anchor (&name) does not come before it; a text that begins with * needs quotes',
  BAD_INDENT: 'the indentation is wrong (the keys of one map begin in one column), or a bracket is not closed',
  BAD_SCALAR_START: 'a text that begins with @, ` or % needs quotes',
  BLOCK_AS_IMPLICIT_KEY:
    'found a second ": " where a value ends: a text that holds ": " needs quotes, and the keys of one map begin in one column',
  DUPLICATE_KEY: 'the same map has this key already; join the two, or remove one',
  MISSING_CHAR: 'a character is missing here: a closing quote or bracket, a comma, or a space after ":"',
  MULTIPLE_ANCHORS: 'a value can have one anchor only',
  MULTIPLE_DOCS: 'found a second document (---), expected one',
  MULTILINE_IMPLICIT_KEY: 'a key must stand on one line; is the ":" after it missing?',
  TAB_AS_INDENT: 'found a tab, expected spaces: YAML is not indented with tabs',
  UNEXPECTED_TOKEN: 'found something that cannot stand here; a text with special characters needs quotes',
};

function describeError(code: ErrorCode): string {
  return `cannot be read as YAML: ${ERRORS[code] ?? 'the syntax is wrong here'}`;
}
