import { jsonSchema, loadYaml, maskSecret, type Path } from '../config/index.ts';
import { childrenOf, type Node, type OwnedSetting, placedSettings } from './compose.ts';
import { NO_SETTINGS } from './draft.ts';

export interface WriteOptions {
  /** Lines above the configuration. */
  readonly head: readonly string[];
  /** Whether secrets are replaced. */
  readonly masked: boolean;
  /** The names of files in comments, by those in messages. */
  readonly shortNames: ReadonlyMap<string, string>;
}

/** Writes a configuration as YAML, with a comment at each line that says where it comes from. */
export async function writeYaml(
  root: Extract<Node, { kind: 'map' }>,
  { head, masked, shortNames }: WriteOptions,
): Promise<string> {
  const yaml = await loadYaml();
  const document = new yaml.Document(plain(inOrder(root), [], masked));
  const comments = new Map(
    [...placedSettings(root)].map(({ path, setting }) => [keyOf(path), commentOf(setting, shortNames)]),
  );
  yaml.visit(document, {
    Scalar(key, node, ancestors) {
      if (key !== 'key') comment(node, pathTo([...ancestors, node]));
    },
    Map(_, node, ancestors) {
      node.flow = node.items.length === 0;
      if (node.flow) comment(node, pathTo([...ancestors, node]));
    },
    Pair(_, { key, value }, ancestors) {
      if (!yaml.isScalar(key) || key.value !== 'credentials' || !yaml.isMap(value)) return;
      if (pathTo([...ancestors])[0] === 'registries') key.commentBefore = OPEN;
    },
  });
  const body = root.entries.size === 0 ? '{}\n' : document.toString({ lineWidth: 0 });
  return `${head.map((line) => `# ${line}\n`).join('')}${body}`;

  function comment(node: { comment?: string | null | undefined }, path: Path): void {
    const text = comments.get(keyOf(path));
    if (text !== undefined) node.comment = ` ${text}`;
  }

  /** The path of keys and positions to the last of nested nodes. */
  function pathTo(nodes: readonly unknown[]): Path {
    return nodes.flatMap((node, index): PropertyKey[] => {
      if (yaml.isPair(node)) return [String(yaml.isScalar(node.key) ? node.key.value : node.key)];
      return yaml.isSeq(node) ? [node.items.indexOf(nodes[index + 1])] : [];
    });
  }
}

const OPEN =
  ' Without a rule of access, other machines see only what the upstream shows without these credentials: see docs/access.md.';

function keyOf(path: Path): string {
  return path.map(String).join('\0');
}

/** On one line, whatever the names in it hold. */
function commentOf({ origin, reason, isDefault }: OwnedSetting, shortNames: ReadonlyMap<string, string>): string {
  const label = origin.source.kind === 'file' ? origin.source.file : '';
  const file = shortNames.get(label) ?? label;
  const place = `from ${file}${origin.key === '' ? '' : `: ${origin.key}`}`;
  const text = reason === undefined ? place : isDefault === true ? reason : `${place}; ${reason}`;
  return text.replace(/[\p{Cc}\u2028\u2029]/gu, '?');
}

/** The options of the top level in the order of the manual. */
function inOrder(root: Extract<Node, { kind: 'map' }>): Node {
  const known = Object.keys(jsonSchema()['properties'] ?? {});
  const rank = (key: string) => (known.includes(key) ? known.indexOf(key) : known.length);
  return { kind: 'map', entries: new Map([...root.entries].sort(([a], [b]) => rank(a) - rank(b))) };
}

function plain(node: Node, path: Path, masked: boolean): unknown {
  if (node.kind === 'value') {
    const { value } = node.setting;
    if (value === NO_SETTINGS) return {};
    return masked ? maskSecret(path, value) : value;
  }
  const children = childrenOf(node).map(([key, inner]) => [key, plain(inner, [...path, key], masked)] as const);
  return node.kind === 'list' ? children.map(([, value]) => value) : new Map(children);
}
