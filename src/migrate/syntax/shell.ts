import { basename } from 'node:path/posix';
import type { ConfigProblem, Source } from '../../config/index.ts';
import type { FileName, ProgramDocument, Word } from '../document.ts';

/** Programs whose command lines are read. */
const PROGRAMS: ReadonlySet<string> = new Set([
  'crproxy',
  'docxy',
  'wharf',
  'mirror-registry',
  'rmirror',
  'crm',
  'registry',
]);

/** Options of `docker run`, `sudo` and the like with a value that may be called as a program is. */
const TAKES_NAME = /^(?:--?(?:name|hostname|h|u|user|g|group|v|volume|mount|w|workdir|l|label|network))$/;

const ASSIGNMENT = /^([A-Za-z_]\w*)=(.*)$/s;

interface ReadShell {
  readonly documents: readonly ProgramDocument[];
  readonly problems: readonly ConfigProblem[];
}

type SourceAt = (line: number, column: number) => Source;

/**
 * Reads variables (`NAME=value`, `export NAME=value`) and command lines of known programs: an environment file, a script, a
 * unit of systemd. Nothing is executed; `$NAME`, `${NAME}` and `${NAME:-default}` stand for variables of the same text.
 */
export function readShell(text: string, file: FileName, sourceAt: SourceAt): ReadShell {
  const problems: ConfigProblem[] = [];
  const variables = new Map<string, Word>();
  const commands: {
    readonly words: readonly Word[];
    readonly own: ReadonlyMap<string, Word>;
    readonly source: Source;
  }[] = [];
  for (const line of linesOf(text)) {
    const words = splitWords(line, sourceAt);
    if (words === undefined) {
      problems.push({ source: placeIn(line, 0, sourceAt), key: '', message: 'a quote is not closed on this line' });
      continue;
    }
    const rest = words[0]?.text === 'export' || words[0]?.text === 'set' ? words.slice(1) : words;
    const own = new Map<string, Word>();
    let at = 0;
    for (; at < rest.length; at++) {
      const word = rest[at];
      const [, name = '', value = ''] = ASSIGNMENT.exec(word?.text ?? '') ?? [];
      if (word === undefined || name === '') break;
      own.set(name, { text: value, source: word.source });
    }
    if (at < rest.length) commands.push({ words: rest.slice(at), own, source: placeIn(line, 0, sourceAt) });
    else
      for (const [name, word] of own) {
        const earlier = variables.get(name);
        if (earlier !== undefined && earlier.text !== word.text) {
          const message = 'found a second time with another value; keep one of the two lines';
          problems.push({ source: word.source, key: name, message });
        }
        variables.set(name, word);
      }
  }
  const documents = commands.flatMap(({ words, own, source }): readonly ProgramDocument[] => {
    const all = new Map([...variables, ...own]);
    const document = programOf(words, { file, variables: all, source });
    return document === undefined ? [] : [document];
  });
  if (documents.length === 0 && variables.size > 0) {
    const source = [...variables.values()][0]?.source ?? sourceAt(1, 1);
    documents.push({ kind: 'program', file, names: [], variables, args: [], source });
  }
  return { documents, problems };
}

/** The known program among the words of a command, with the arguments after it and the variables that `-e` sets. */
export function programOf(
  words: readonly Word[],
  about: Pick<ProgramDocument, 'file' | 'variables' | 'source'>,
): ProgramDocument | undefined {
  const at = words.findIndex(({ text }, index) => {
    return PROGRAMS.has(programName(text)) && !TAKES_NAME.test(words[index - 1]?.text ?? '');
  });
  if (at === -1) return undefined;
  const variables = new Map(about.variables);
  for (const [index, { text, source }] of words.slice(0, at).entries()) {
    const isSet = /^(?:-e|--env)$/.test(words[index - 1]?.text ?? '');
    const [, name = '', value = ''] = ASSIGNMENT.exec(text.replace(/^(?:-e|--env=)/, '')) ?? [];
    if (name !== '' && (isSet || /^(?:-e.|--env=)/.test(text))) variables.set(name, { text: value, source });
  }
  const args = words.slice(at + 1).map((word) => ({ ...word, text: expand(word.text, variables) }));
  return { ...about, kind: 'program', names: [programName(words[at]?.text ?? '')], variables, args };
}

/** `crproxy` of `/usr/bin/crproxy` and of `ghcr.io/fimreal/crproxy:latest`. */
export function programName(text: string): string {
  return basename(text)
    .replace(/[:@].*$/, '')
    .toLowerCase();
}

/** Replaces `$NAME`, `${NAME}`, `${NAME:-default}`; an unknown variable is empty, as in a shell. */
export function expand(text: string, variables: ReadonlyMap<string, Word>): string {
  return text.replace(
    /\$(?:\{([A-Za-z_]\w*)(?::?-([^}]*))?\}|([A-Za-z_]\w*))/g,
    (_, braced: string | undefined, otherwise: string | undefined, bare: string | undefined) => {
      const value = variables.get(braced ?? bare ?? '')?.text ?? '';
      return value === '' ? (otherwise ?? '') : value;
    },
  );
}

interface Line {
  readonly text: string;
  /** Where its parts stand in the file, in order: `from` counts in its own text. */
  readonly parts: readonly { readonly from: number; readonly number: number; readonly column: number }[];
}

/** The place of a letter of a line. */
function placeIn({ parts }: Line, at: number, sourceAt: SourceAt): Source {
  const part = parts.findLast(({ from }) => from <= at) ?? { from: 0, number: 1, column: 1 };
  return sourceAt(part.number, part.column + at - part.from);
}

/** Lines without comments, those with a backslash at their end joined; of a unit, what its Exec and Environment lines hold. */
function linesOf(text: string): readonly Line[] {
  const lines: Line[] = [];
  let open: Line | undefined;
  for (const [index, raw] of text.split('\n').entries()) {
    const plain = raw.replace(/\r$/, '');
    if (open === undefined && /^\s*(?:[#;]|$)/.test(plain)) continue;
    const number = index + 1;
    const from = open === undefined ? 0 : open.text.length + 1;
    const joined: Line = {
      text: open === undefined ? plain : `${open.text} ${plain}`,
      parts: [...(open?.parts ?? []), { from, number, column: 1 }],
    };
    if (/(?:^|[^\\])\\$/.test(plain)) open = { ...joined, text: joined.text.slice(0, -1) };
    else {
      lines.push(joined);
      open = undefined;
    }
  }
  if (open !== undefined) lines.push(open);
  return isUnit(text) ? lines.flatMap(unitLine) : lines;
}

export function isUnit(text: string): boolean {
  return /^\[(?:Unit|Service|Container)\]\s*$/m.test(text);
}

function unitLine({ text, parts }: Line): readonly Line[] {
  // The characters in front of a program change how systemd runs it: systemd.service(5).
  const [, front = '', key = '', value = ''] = /^(\s*(\w+)\s*=\s*[@:+!-]*)(.*)$/s.exec(text) ?? [];
  if (!/^(?:Environment|Exec|ExecStart)$/.test(key)) return [];
  const moved = parts.map(({ from, number, column }) => {
    return from === 0 ? { from, number, column: column + front.length } : { from: from - front.length, number, column };
  });
  return [{ text: value, parts: moved }];
}

/** Words as a POSIX shell splits them; undefined where a quote is not closed. */
export function splitWords(line: Line, sourceAt: SourceAt): readonly Word[] | undefined {
  const { text } = line;
  const words: Word[] = [];
  let word = '';
  let start = -1;
  let quote = '';
  const end = (): void => {
    if (start !== -1) words.push({ text: word, source: placeIn(line, start, sourceAt) });
    word = '';
    start = -1;
  };
  for (let at = 0; at < text.length; at++) {
    const letter = text[at] ?? '';
    if (quote === '' && /\s/.test(letter)) end();
    else if (quote === '' && letter === '#' && start === -1) break;
    else {
      if (start === -1) start = at;
      if (quote === '' && (letter === '"' || letter === "'")) quote = letter;
      else if (letter === quote) quote = '';
      else if (letter === '\\' && quote !== "'") {
        at += 1;
        word += text[at] ?? '';
      } else word += letter;
    }
  }
  end();
  return quote === '' ? words : undefined;
}
