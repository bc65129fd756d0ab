import { MAX_NAME, printable } from './findings.ts';

/** A text with its variables filled in, or the reason why it cannot be. */
export type Expanded =
  | { readonly text: string; readonly reason?: undefined }
  | { readonly text?: undefined; readonly reason: string };

interface ExpandOptions {
  /** What the file itself gives a variable; undefined where it gives it nothing. */
  readonly valueOf: (name: string) => string | undefined;
  /** The character that makes the next one plain: `$` in Compose files, `\` or a backtick in Dockerfiles. */
  readonly escape: string;
  /** The remedy of a variable without a value, as a clause. */
  readonly remedy: string;
}

class Unknown extends Error {}

/**
 * Fills in `$NAME`, `${NAME}`, `${NAME:-default}`, `${NAME-default}`, `${NAME:+other}`, `${NAME+other}`, `${NAME:?message}` and
 * `${NAME?message}`, defaults within defaults too. No environment is read: a variable has the value that its file gives it.
 *
 * Source: Compose specification, "Interpolation"; Dockerfile reference, "Environment replacement".
 */
export function expandVariables(text: string, options: ExpandOptions): Expanded {
  if (!text.includes('$') && !text.includes(options.escape)) return { text };
  if (text.length > MAX_NAME) return { reason: `the name of the image has more than ${MAX_NAME} characters` };
  try {
    return { text: expand(text, { at: 0, isInner: false, options }).text };
  } catch (error) {
    if (error instanceof Unknown) return { reason: error.message };
    throw error;
  }
}

interface Position {
  readonly at: number;
  /** True: a brace ends it. */
  readonly isInner: boolean;
  readonly options: ExpandOptions;
}

/** Reads to the end, or to the brace that ends a default; `lacking` is the first variable without a value. */
function expand(text: string, { at, isInner, options }: Position): { readonly text: string; readonly end: number } {
  let result = '';
  let position = at;
  while (position < text.length) {
    const character = text[position] ?? '';
    if (isInner && character === '}') return { text: result, end: position };
    if (character === options.escape && text[position + 1] === '$') {
      result += '$';
      position += 2;
    } else if (character === '$') {
      const found = readVariable(text, position, options);
      result += found.text;
      position = found.end;
    } else {
      result += character;
      position += 1;
    }
  }
  if (isInner) throw new Unknown(`${printable(text)} has a "\${" without its "}"`);
  return { text: result, end: position };
}

const NAME_AT = /[A-Za-z_]\w*/y;
const OPERATOR_AT = /:?[-+?]/y;

function readVariable(
  text: string,
  start: number,
  options: ExpandOptions,
): { readonly text: string; readonly end: number } {
  const isBraced = text[start + 1] === '{';
  const name = matchAt(NAME_AT, text, start + (isBraced ? 2 : 1));
  if (name === undefined) throw new Unknown(`${printable(text)} has a variable in a form that is not read`);
  const value = options.valueOf(name);
  const end = start + (isBraced ? 2 : 1) + name.length;
  if (!isBraced) return { text: known(name, value, options), end };
  if (text[end] === '}') return { text: known(name, value, options), end: end + 1 };
  const operator = matchAt(OPERATOR_AT, text, end);
  if (operator === undefined) throw new Unknown(`${printable(text)} has a variable in a form that is not read`);
  const isSet = value !== undefined && (operator.length === 1 || value !== '');
  const kind = operator.at(-1);
  if (kind === '?') {
    const close = text.indexOf('}', end);
    if (close === -1) throw new Unknown(`${printable(text)} has a "\${" without its "}"`);
    return { text: known(name, isSet ? value : undefined, options), end: close + 1 };
  }
  const from = end + operator.length;
  const isTaken = kind === '-' ? !isSet : isSet;
  // What is not taken is read for its end alone: its variables need no value.
  const inner = isTaken ? options : { ...options, valueOf: () => '' };
  const word = expand(text, { at: from, isInner: true, options: inner });
  const taken = isTaken ? word.text : kind === '-' ? (value ?? '') : '';
  return { text: taken, end: word.end + 1 };
}

function known(name: string, value: string | undefined, { remedy }: ExpandOptions): string {
  if (value === undefined) throw new Unknown(`the variable ${name} has no default; ${remedy}`);
  return value;
}

function matchAt(pattern: RegExp, text: string, at: number): string | undefined {
  pattern.lastIndex = at;
  return pattern.exec(text)?.[0];
}
