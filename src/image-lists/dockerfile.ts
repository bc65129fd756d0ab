import { printable, type Reading } from './findings.ts';
import { expandVariables } from './variables.ts';

/** An instruction on one line: its continuation lines joined, its here-documents left out. */
interface Instruction {
  /** Where it begins. */
  readonly line: number;
  /** In upper case. */
  readonly word: string;
  readonly rest: string;
}

/** Whether a text is a Dockerfile: its first instruction is `FROM` or `ARG`, as BuildKit demands. */
export function isDockerfile(text: string): boolean {
  const first = text.split('\n').find((line) => !/^\s*(?:#|$)/.test(line));
  return first !== undefined && /^\s*(?:FROM|ARG)\s+\S/i.test(first) && !/^\s*(?:FROM|ARG)\s*:/i.test(first);
}

/**
 * The images that a Dockerfile is built of: of `FROM`, `COPY --from`, `RUN --mount=from=`, and of its `# syntax=` line. Stages
 * and `scratch` are none. A variable has the default of its `ARG` before the first `FROM`.
 *
 * Source: Dockerfile reference.
 */
export function readDockerfile(text: string, reading: Reading): void {
  const lines = text.split('\n');
  const { escape, syntax } = readDirectives(lines);
  if (syntax !== undefined) reading.image(syntax.image, syntax.line);
  const state: State = { globals: new Map(), stages: new Set(), isBefore: true, escape, reading };
  for (const instruction of instructionsOf(lines, { escape, reading })) readInstruction(instruction, state);
}

interface State {
  /** The defaults of `ARG` before the first `FROM`. */
  readonly globals: Map<string, string>;
  /** The names of the stages so far, in lower case. */
  readonly stages: Set<string>;
  /** Whether the first `FROM` is still to come. */
  isBefore: boolean;
  readonly escape: string;
  readonly reading: Reading;
}

function readInstruction({ line, word, rest }: Instruction, state: State): void {
  if (word === 'ONBUILD') {
    const [, inner = '', after = ''] = /^(\S+)\s*(.*)$/s.exec(rest) ?? [];
    // It does not nest, nor does it take a FROM.
    if (/^(?:COPY|RUN)$/i.test(inner)) readInstruction({ line, word: inner.toUpperCase(), rest: after }, state);
  } else if (word === 'ARG') {
    if (state.isBefore) readArguments(rest, state);
  } else if (word === 'FROM') readFrom(rest, { line, state });
  else if (word === 'COPY') {
    for (const flag of flagsOf(rest)) {
      if (flag.startsWith('--from=')) useImage(unquoted(flag.slice('--from='.length)), { line, state });
    }
  } else if (word === 'RUN') {
    for (const flag of flagsOf(rest)) {
      if (!flag.startsWith('--mount=')) continue;
      const from = unquoted(flag.slice('--mount='.length))
        .split(',')
        .find((part) => part.startsWith('from='));
      if (from !== undefined) useImage(from.slice('from='.length), { line, state });
    }
  }
}

function readFrom(rest: string, { line, state }: { readonly line: number; readonly state: State }): void {
  state.isBefore = false;
  const words = rest.split(/\s+/).filter((word) => word !== '');
  const [image, as, name] = words.filter((word) => !word.startsWith('--'));
  if (image === undefined) throw state.reading.refusal(line, 'FROM names no image');
  if (as !== undefined && (as.toUpperCase() !== 'AS' || name === undefined)) {
    throw state.reading.refusal(line, `found ${printable(as)} after the image of FROM, expected AS and a name`);
  }
  const { globals, escape } = state;
  const { text, reason } = expandVariables(unquoted(image), {
    valueOf: (variable) => globals.get(variable),
    escape,
    remedy: 'write its default in an ARG before the first FROM, or the image in a list',
  });
  if (text === undefined) state.reading.note(line, reason);
  else if (!state.stages.has(text.toLowerCase()) && text.toLowerCase() !== 'scratch') state.reading.image(text, line);
  // After it is read: a stage may have the name of the image that it is made of.
  if (name !== undefined) state.stages.add(name.toLowerCase());
}

/** What `--from` names: a stage by name or number, or an image. */
function useImage(name: string, { line, state }: { readonly line: number; readonly state: State }): void {
  const isStage = /^\d+$/.test(name) || state.stages.has(name.toLowerCase());
  if (!isStage && name !== '') state.reading.image(name, line);
}

/** `NAME=value`, also quoted, also several; one without a value has no default. */
function readArguments(rest: string, { globals, escape }: State): void {
  for (const [word] of rest.matchAll(/(?:"[^"]*"|'[^']*'|[^\s"'])+/g)) {
    const [, name = '', value = ''] = /^([A-Za-z_]\w*)=(.*)$/s.exec(word) ?? [];
    if (name === '') continue;
    const { text } = expandVariables(unquoted(value), {
      valueOf: (variable) => globals.get(variable),
      escape,
      remedy: '',
    });
    if (text !== undefined) globals.set(name, text);
  }
}

function unquoted(text: string): string {
  return /^(["']).*\1$/s.test(text) && text.length > 1 ? text.slice(1, -1) : text;
}

/** The words that begin with `--` in front of all others. */
function flagsOf(rest: string): readonly string[] {
  const words = rest.split(/\s+/).filter((word) => word !== '');
  const end = words.findIndex((word) => !word.startsWith('--'));
  return end === -1 ? words : words.slice(0, end);
}

/** The comments at the top that change how the rest is read. */
function readDirectives(lines: readonly string[]): {
  readonly escape: string;
  readonly syntax: { readonly image: string; readonly line: number } | undefined;
} {
  let escape = '\\';
  let syntax: { image: string; line: number } | undefined;
  for (const [index, line] of lines.entries()) {
    const [, name = '', value = ''] = /^\s*#\s*([A-Za-z]+)\s*=\s*(\S+)\s*$/.exec(line) ?? [];
    if (name === '') break;
    if (name.toLowerCase() === 'syntax') syntax = { image: value, line: index + 1 };
    if (name.toLowerCase() === 'escape' && value === '`') escape = value;
  }
  return { escape, syntax };
}

/** Instructions that may have here-documents. */
const WITH_DOCUMENTS: ReadonlySet<string> = new Set(['RUN', 'COPY', 'ADD']);

/** Characters of one instruction; a here-document does not count. */
const MAX_INSTRUCTION = 256 * 1024;

function* instructionsOf(
  lines: readonly string[],
  { escape, reading }: { readonly escape: string; readonly reading: Reading },
): Generator<Instruction, void> {
  let index = 0;
  while (index < lines.length) {
    const start = index + 1;
    const { text, next } = joinLines(lines, { from: index, escape });
    index = next;
    if (text.length > MAX_INSTRUCTION) {
      throw reading.refusal(
        start,
        `found an instruction of more than ${MAX_INSTRUCTION / 1024} KiB, expected a Dockerfile`,
      );
    }
    const [, word = '', rest = ''] = /^\s*(\S+)\s*(.*)$/s.exec(text) ?? [];
    if (word === '' || word.startsWith('#')) continue;
    if (WITH_DOCUMENTS.has(word.toUpperCase())) {
      for (const { name, isIndented } of documentsOf(rest)) {
        while (index < lines.length && lineOf(lines[index], isIndented) !== name) index += 1;
        if (index === lines.length) throw reading.refusal(start, `the here-document ${printable(name)} has no end`);
        index += 1;
      }
    }
    yield { line: start, word: word.toUpperCase(), rest };
  }
}

/** Comments and empty lines between the lines of an instruction are dropped, as BuildKit does. */
function joinLines(
  lines: readonly string[],
  { from, escape }: { readonly from: number; readonly escape: string },
): { readonly text: string; readonly next: number } {
  const parts: string[] = [];
  let next = from;
  for (let isOpen = true; isOpen && next < lines.length; next += 1) {
    const line = (lines[next] ?? '').trimEnd();
    const isComment = /^\s*#/.test(line);
    if (parts.length > 0 && (isComment || line === '')) continue;
    isOpen = !isComment && line.endsWith(escape);
    parts.push(isOpen ? line.slice(0, -1) : line);
  }
  return { text: parts.join(' '), next };
}

function lineOf(line: string | undefined, isIndented: boolean): string | undefined {
  return isIndented ? line?.replace(/^\t+/, '') : line;
}

/** The here-documents that an instruction opens: `<<EOF`, `<<-EOF`, `<<"EOF"`. */
function* documentsOf(rest: string): Generator<{ readonly name: string; readonly isIndented: boolean }, void> {
  for (const [, dash, , name = ''] of rest.matchAll(/(?<=^|\s)\d*<<(-?)(["']?)([A-Za-z_]\w*)\2(?=\s|$)/g)) {
    yield { name, isIndented: dash === '-' };
  }
}
