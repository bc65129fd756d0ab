import { type ConfigProblem, isMap, readYaml, type Source, type Tree } from '../../config/index.ts';
import type { Document, FileName } from '../document.ts';
import { programsOf } from './carriers.ts';
import { isUnit, readShell } from './shell.ts';
import { readToml } from './toml.ts';

export interface ReadText {
  readonly documents: readonly Document[];
  readonly problems: readonly ConfigProblem[];
}

/** Documents of one YAML file (`---`): more are no configuration. */
const MAX_DOCUMENTS = 100;

/** Commas, colons and line ends: far above any real configuration. The reader of YAML compares each key with all others of its map. */
const MAX_SEPARATORS = 20_000;

/** Reads a text of any kind that import understands. Its kind is told by its content. */
export async function readText(text: string, file: FileName): Promise<ReadText> {
  const sourceAt = (line: number, column: number): Source => ({ kind: 'file', file: file.label, line, column });
  if (text.length > MAX_SEPARATORS && (text.match(/[,:\n]/g) ?? []).length > MAX_SEPARATORS) {
    const message = `found more than ${MAX_SEPARATORS} lines, commas and colons, expected a plainer file`;
    return { documents: [], problems: [{ source: sourceAt(1, 1), key: '', message }] };
  }
  if (isUnit(text) || isShell(text)) return readShell(text, file, sourceAt);
  if (isToml(text)) {
    const { tree, problems } = await readToml(text, sourceAt);
    return { documents: isMap(tree) ? [{ kind: 'tree', syntax: 'TOML', file, tree }] : [], problems };
  }
  const isJson = /^\s*[{[]/.test(text);
  const parts = isJson ? [{ text: text.replaceAll('\t', ' '), line: 0 }] : documentsOf(text);
  const documents: Document[] = [];
  const problems: ConfigProblem[] = [];
  for (const part of parts) {
    const read = await readYaml(part.text, (line, column) => sourceAt(line + part.line, column));
    problems.push(...(isJson ? read.problems.map(asJson) : read.problems));
    documents.push(...documentsIn(read.tree, { file, syntax: isJson ? 'JSON' : 'YAML' }));
  }
  return { documents, problems };
}

function documentsIn(
  tree: Tree | undefined,
  about: { readonly file: FileName; readonly syntax: 'YAML' | 'JSON' },
): readonly Document[] {
  if (!isMap(tree)) return [];
  return programsOf(tree, about.file) ?? [{ kind: 'tree', ...about, tree }];
}

/** JSON is read as YAML, which it is a part of. Tabs are spaces in it, and strings cannot hold one. */
function asJson(problem: ConfigProblem): ConfigProblem {
  return { ...problem, message: problem.message.replace('cannot be read as YAML', 'cannot be read as JSON') };
}

/** Manifests of Kubernetes come several to a file. Any other file with a second document is refused by the reader. */
function documentsOf(text: string): readonly { readonly text: string; readonly line: number }[] {
  if (!/^apiVersion:/m.test(text) || !/^kind:/m.test(text)) return [{ text, line: 0 }];
  const parts: { text: string; line: number }[] = [];
  let start = 0;
  const lines = text.split('\n');
  for (const [index, line] of [...lines, '---'].entries()) {
    if (!/^---(?:\s|$)/.test(line)) continue;
    const part = lines.slice(start, index).join('\n');
    if (part.trim() !== '' && parts.length < MAX_DOCUMENTS) parts.push({ text: part, line: start });
    start = index + 1;
  }
  return parts;
}

/** Lines of a text without comments and empty ones. */
function significantLines(text: string): readonly string[] {
  return text.split(/\r?\n/).filter((line) => !/^\s*(?:#|$)/.test(line));
}

/** Variables and command lines: no line has a key of YAML or TOML. */
function isShell(text: string): boolean {
  const lines = significantLines(text);
  if (lines.length === 0) return false;
  const isVariable = (line: string) => /^\s*(?:export\s+)?[A-Za-z_]\w*=/.test(line);
  if (lines.every(isVariable)) return true;
  if (lines.some((line) => /^\s*(?:"?[\w.*/-]+"?\s*:(?:\s|$)|[\w."-]+\s+=\s|\[\[?[\w."]|[{}]|- )/.test(line)))
    return false;
  return lines.some(
    (line) =>
      isVariable(line) || /(?:^|[\s/])(?:crproxy|docxy|wharf|mirror-registry|rmirror|crm)(?:[\s:]|$)/.test(line),
  );
}

function isToml(text: string): boolean {
  const [first = ''] = significantLines(text);
  if (/^\s*[{]/.test(first)) return false;
  return significantLines(text).some((line) =>
    /^\s*(?:\[\[?\s*(?:[\w-]+|"[^"]*"|'[^']*')\s*(?:\.[^\]]*)?\]\]?\s*(?:#.*)?$|(?:[\w-]+|"[^"]*"|'[^']*')\s*(?:\.[^=]*)?=)/.test(
      line,
    ),
  );
}
