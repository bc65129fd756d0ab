import { type ConfigProblem, formatKey, type Path, type Tree } from '../config/index.ts';
import { compose, type Node, type OwnedSetting, placedSettings, treeOf } from './compose.ts';
import type { Document, FileName } from './document.ts';
import { Draft } from './draft.ts';
import { ownAddresses } from './own-addresses.ts';
import { SOURCES, type Source } from './sources/index.ts';
import { looksLike, readText } from './syntax/index.ts';
import { writeYaml } from './write.ts';

/** A file to import, as it was read. */
export interface ImportedFile extends FileName {
  readonly bytes: Buffer;
}

export interface MigrateOptions {
  /** The problems of a configuration by the rules of this program; the places in the tree are those of the imported files. */
  readonly check: (settings: Tree) => readonly ConfigProblem[];
}

/** A configuration of this program, made of those of others. */
export interface Migration {
  /** Each file, with the programs whose configuration it is. */
  readonly files: readonly { readonly label: string; readonly programs: readonly string[] }[];
  /** What is not carried over, each with the reason and what to do instead. */
  readonly lost: readonly ConfigProblem[];
  /** Contradictions between files, and what works differently from before. */
  readonly notes: readonly ConfigProblem[];
  /** The configuration as YAML, which is valid. @param options.masked secrets are replaced, for a terminal */
  readonly toYaml: (options: { readonly masked: boolean }) => Promise<string>;
}

/** Files that cannot be imported: unknown, unreadable, or with values of a wrong type. The message has a line for each problem. */
export class ImportError extends Error {
  override readonly name = 'ImportError';
  readonly problems: readonly ConfigProblem[];

  constructor(problems: readonly ConfigProblem[]) {
    super(`${problems.length} problems`);
    this.problems = problems;
  }
}

/**
 * Turns configurations of other programs into one of this program. Each file is recognised by its content.
 *
 * The result has no problems: a setting that the other program takes and this one refuses is left out, and named in `lost`.
 *
 * @throws {ImportError} with all problems of all files
 */
export async function migrate(files: readonly ImportedFile[], { check }: MigrateOptions): Promise<Migration> {
  const read = [];
  for (const file of files) read.push({ file, ...(await readDocuments(file)) });
  const drafts = convert(read.flatMap(({ recognised }) => recognised));
  const problems = [...read.flatMap((each) => each.problems), ...drafts.flatMap((draft) => draft.problems)];
  if (problems.length > 0) throw new ImportError(byPlace(problems, files));
  const settings = drafts.flatMap((draft) => draft.settings.map((setting) => ({ ...setting, program: draft.program })));
  const { root, contradictions, refused } = withoutRefused(withoutMaps(settings), check);
  const recognised = read.map(({ file, recognised: found }) => ({
    label: file.label,
    programs: [...new Set(found.map(({ source }) => source.program))],
  }));
  const shortNames = shortNamesOf(files);
  return {
    files: recognised,
    lost: byPlace([...drafts.flatMap((draft) => draft.lost), ...refused], files),
    notes: unique([...contradictions, ...drafts.flatMap((draft) => draft.notes)]),
    toYaml: ({ masked }) => writeYaml(root, { head: headOf(recognised, shortNames), masked, shortNames }),
  };
}

interface Recognised {
  readonly document: Document;
  readonly source: Source;
}

interface ReadDocuments {
  readonly recognised: readonly Recognised[];
  readonly problems: readonly ConfigProblem[];
}

async function readDocuments(file: ImportedFile): Promise<ReadDocuments> {
  const text = decode(file.bytes);
  if (typeof text !== 'string') return { recognised: [], problems: [unknown(file, text.reason)] };
  const { documents, problems } = await readText(text, file);
  const recognised = documents.flatMap((document): Recognised[] => {
    const source = SOURCES.find(({ matches }) => matches(document));
    return source === undefined ? [] : [{ document, source }];
  });
  if (recognised.length > 0) return { recognised, problems };
  // A text that looks like something else is not worth a complaint about its syntax.
  const shape = looksLike(text, documents);
  if (problems.length > 0 && documents.length === 0 && !shape.startsWith('looks like')) return { recognised, problems };
  return { recognised, problems: [unknown(file, shape)] };
}

/** One draft for each kind of file: a file and the variables that override it are read together. */
function convert(recognised: readonly Recognised[]): readonly Draft[] {
  const bySource = Map.groupBy(recognised, ({ source }) => source);
  return [...bySource].map(([source, found]) => {
    const draft = new Draft(source.program);
    source.convert(
      found.map(({ document }) => document),
      draft,
    );
    return draft;
  });
}

/** The shortest end of each path that no other file has: `config.yaml`, `docker.io/hosts.toml`. */
function shortNamesOf(files: readonly FileName[]): ReadonlyMap<string, string> {
  const labels = [...new Set(files.map(({ label }) => label))];
  return new Map(
    labels.map((label) => {
      const parts = label.split('/');
      for (let length = 1; length < parts.length; length++) {
        const end = parts.slice(-length).join('/');
        if (labels.every((other) => other === label || !`/${other}`.endsWith(`/${end}`))) return [label, end];
      }
      return [label, label];
    }),
  );
}

function decode(bytes: Buffer): string | { readonly reason: string } {
  if (bytes[0] === 0x1f && bytes[1] === 0x8b) return { reason: 'is compressed with gzip; unpack it first' };
  if (bytes.subarray(257, 262).toString('latin1') === 'ustar') return { reason: 'is a tar archive' };
  const mark = bytes.subarray(0, 2).toString('hex');
  if (mark === 'fffe' || mark === 'feff') return { reason: 'is text in UTF-16; save it as UTF-8' };
  if (bytes.includes(0)) return { reason: 'is binary, not text' };
  try {
    // A mark of byte order is left out.
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    return { reason: 'has bytes that are not UTF-8, so it is no text that can be read' };
  }
}

function unknown({ label }: FileName, reason: string): ConfigProblem {
  const understood = SOURCES.map(({ program, files }) => `  ${program}: ${files}`);
  // A bundle is told apart before: by its first blocks, and not by its name.
  const all = [...understood, '  entrepot: a bundle that `entrepot export` wrote'];
  return { source: undefined, key: '', message: `${label} ${reason}; import understands\n${all.join('\n')}` };
}

/** `registry_map` names a file that is imported too: its entries are in the configuration. */
function withoutMaps(settings: readonly OwnedSetting[]): readonly OwnedSetting[] {
  const labels = new Set(
    settings.map(({ origin: { source } }) => (source.kind === 'file' ? (source.file.split('/').at(-1) ?? '') : '')),
  );
  return settings.filter(({ path, value }) => {
    return path[0] !== 'registry_map' || !labels.has(String(value).split('/').at(-1) ?? '');
  });
}

interface Accepted {
  readonly root: Extract<Node, { kind: 'map' }>;
  readonly contradictions: readonly ConfigProblem[];
  readonly refused: readonly ConfigProblem[];
}

/** Leaves out what this program refuses, until nothing is left to refuse. Each round leaves out one setting at least. */
function withoutRefused(settings: readonly OwnedSetting[], check: MigrateOptions['check']): Accepted {
  // The loader takes no such key: as the name of a property it is special.
  const isSpecial = ({ path }: OwnedSetting) => path.includes('__proto__');
  const refused: ConfigProblem[] = settings
    .filter(isSpecial)
    .map(({ origin }) => ({ ...origin, message: 'not carried over: the name "__proto__" cannot be used' }));
  let kept = settings.filter((setting) => !isSpecial(setting));
  for (;;) {
    const { root, contradictions } = compose(kept);
    const tree = treeOf(root);
    const problems = [...ownAddresses(tree), ...check(tree)];
    if (problems.length === 0) return { root, contradictions, refused };
    const dropped = new Set<OwnedSetting>();
    for (const { key, message, source } of problems) {
      const found = settingsUnder(root, { key, source });
      const below = found.length > 0 ? found : settingsNamedIn(root, message);
      const [first] = below;
      if (first === undefined || below.every((each) => dropped.has(each))) continue;
      for (const each of below) dropped.add(each);
      refused.push({ ...first.origin, message: `not carried over as ${key}: ${message}` });
    }
    if (dropped.size === 0) {
      throw new Error(
        `import made a configuration that is refused: ${problems.map(({ message }) => message).join('; ')}`,
      );
    }
    kept = kept.filter((each) => !dropped.has(each));
  }
}

/** Options without which the item around them means nothing. */
const REQUIRED: ReadonlySet<string> = new Set(['url', 'name', 'prefix', 'upstream', 'match']);

/**
 * The settings that a problem is about: those at its option, else those of the nearest part around it that has some. A
 * listener goes as a whole: without its certificate it would serve plain HTTP.
 */
function settingsUnder(root: Node, problem: Pick<ConfigProblem, 'key' | 'source'>): readonly OwnedSetting[] {
  const placed = [...placedSettings(root)];
  const below = (key: string) =>
    placed.filter(({ path }) => namesOf(path).some((name) => name === key || isInside(name, key)));
  for (let { key } = problem; ; key = key.replace(/(?:\.[^.[\]]*|\[[^[\]]*\])$/, '')) {
    const found = below(key);
    const [first] = found;
    if (first !== undefined) {
      if (first.path[0] === 'listen') return settingsAt(placed, ['listen']);
      const position = first.path.findLastIndex((part) => typeof part === 'number');
      const isRequired = REQUIRED.has(String(first.path.at(-1))) && position >= 0;
      if (found.length === 1 && isRequired) return settingsAt(placed, first.path.slice(0, position + 1));
      return key === 'registries' ? namedSettings(found, problem.source) : found.map(({ setting }) => setting);
    }
    if (!/[.[]/.test(key)) return [];
  }
}

type Placed = readonly { readonly path: Path; readonly setting: OwnedSetting }[];

/** A name that cannot be one of a registry is reported for all registries, at the place of the one. */
function namedSettings(placed: Placed, source: ConfigProblem['source']): readonly OwnedSetting[] {
  const one = placed.find(({ setting }) => setting.origin.source === source);
  return one === undefined ? placed.map(({ setting }) => setting) : settingsAt(placed, one.path.slice(0, 2));
}

function settingsAt(placed: Placed, base: Path): readonly OwnedSetting[] {
  return placed.filter(({ path }) => base.every((part, at) => path[at] === part)).map(({ setting }) => setting);
}

/** A problem whose option was not found, since its name has a colon in it (`registries.[::1]:5000: …`). */
function settingsNamedIn(root: Node, message: string): readonly OwnedSetting[] {
  const placed = [...placedSettings(root)];
  for (const { path } of placed) {
    for (let length = path.length; length > 0; length--) {
      const base = path.slice(0, length);
      if (namesOf(base).some((name) => message.startsWith(`${name}: `) || message.startsWith(`${name}.`)))
        return settingsAt(placed, base);
    }
  }
  return [];
}

function isInside(name: string, key: string): boolean {
  return name.startsWith(`${key}.`) || name.startsWith(`${key}[`);
}

/** A path as the configuration writes it, and as rooms do that do not know it: `registries.ghcr.io.aliases`. */
function namesOf(path: Path): readonly string[] {
  const plain = path
    .map((part) => (typeof part === 'number' ? `[${part}]` : `.${String(part)}`))
    .join('')
    .slice(1);
  return [formatKey(path), plain];
}

function headOf(files: Migration['files'], shortNames: ReadonlyMap<string, string>): readonly string[] {
  const names = files.map(({ label, programs }) => `${shortNames.get(label) ?? label} (${programs.join(', ')})`);
  return [
    `Written by entrepot import from ${names.join(', ')}.`,
    'Check it with: entrepot config validate --config FILE',
  ];
}

/** In the order of the files, and of the lines in each. */
function byPlace(problems: readonly ConfigProblem[], files: readonly FileName[]): readonly ConfigProblem[] {
  const labels = files.map(({ label }) => label);
  const placeOf = ({ source }: ConfigProblem): readonly number[] =>
    source?.kind === 'file' ? [labels.indexOf(source.file), source.line, source.column] : [-1, 0, 0];
  return problems.toSorted((a, b) => {
    const [one, other] = [placeOf(a), placeOf(b)];
    const at = one.findIndex((part, index) => part !== other[index]);
    return at === -1 ? 0 : (one[at] ?? 0) - (other[at] ?? 0);
  });
}

function unique(problems: readonly ConfigProblem[]): readonly ConfigProblem[] {
  return [...new Map(problems.map((each) => [`${each.key} ${each.message}`, each])).values()];
}
