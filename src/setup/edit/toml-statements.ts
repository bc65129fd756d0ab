import { parse } from 'smol-toml';
import type { Span } from './editor.ts';
import { isMap, OddLayoutError } from './settings.ts';

/** One line of TOML that says something, or several where its value spans them. */
export type Statement = {
  /** The start of its first line. */
  readonly start: number;
  /** Behind the end of its last line. */
  readonly end: number;
  /** The keys from the top of the file. */
  readonly path: readonly string[];
} & (
  | {
      /** `[table]`, or `[[tables]]`. */
      readonly kind: 'table' | 'tables';
    }
  | { readonly kind: 'key'; readonly value: Span }
);

/** The headers and keys of a text that parses, in their order. */
export function readStatements(text: string): readonly Statement[] {
  const statements: Statement[] = [];
  let table: readonly string[] = [];
  let at = 0;
  while (at < text.length) {
    const start = at;
    const first = start + (/^[ \t]*/.exec(text.slice(start))?.[0].length ?? 0);
    if (/[#\r\n]/.test(text[first] ?? '\n')) {
      at = endOfLine(text, first);
      continue;
    }
    if (text[first] === '[') {
      const end = endOfLine(text, first);
      const kind = text[first + 1] === '[' ? 'tables' : 'table';
      table = keysOf(text.slice(first, end));
      statements.push({ kind, start, end, path: table });
      at = end;
      continue;
    }
    const equals = scan(text, first, (character) => character === '=');
    const value = equals + 1 + (/^[ \t]*/.exec(text.slice(equals + 1))?.[0].length ?? 0);
    const stop = scan(text, value, (character) => /[#\r\n]/.test(character));
    const end = endOfLine(text, stop);
    const written = text.slice(value, stop).trimEnd();
    const path = [...table, ...keysOf(`${text.slice(first, equals)}= 0`)];
    statements.push({ kind: 'key', start, end, path, value: { start: value, end: value + written.length } });
    at = end;
  }
  return statements;
}

/** The keys of a line, read by the parser itself: quotes and dots have rules of their own. */
function keysOf(line: string): readonly string[] {
  const keys: string[] = [];
  let value: unknown = parse(line);
  for (;;) {
    const inner = Array.isArray(value) ? value[0] : value;
    const [key] = isMap(inner) ? Object.keys(inner) : [];
    if (key === undefined) return keys;
    keys.push(key);
    value = isMap(inner) ? inner[key] : undefined;
  }
}

const QUOTES = ['"""', "'''", '"', "'"] as const;

/** The next place, outside of strings and brackets, where `isEnd` holds; the end of the text if there is none. */
function scan(text: string, start: number, isEnd: (character: string) => boolean): number {
  let depth = 0;
  let at = start;
  while (at < text.length) {
    const character = text[at] ?? '';
    const quote = QUOTES.find((each) => text.startsWith(each, at));
    if (quote !== undefined) at = endOfString(text, at, quote);
    else if (depth === 0 && isEnd(character)) return at;
    else if (character === '#') at = endOfLine(text, at);
    else {
      if ('[{'.includes(character)) depth++;
      if (']}'.includes(character)) depth--;
      at++;
    }
  }
  return at;
}

function endOfString(text: string, start: number, quote: (typeof QUOTES)[number]): number {
  const escapes = quote.startsWith('"');
  let at = start + quote.length;
  while (at < text.length && !text.startsWith(quote, at)) at += escapes && text[at] === '\\' ? 2 : 1;
  if (at >= text.length) throw new OddLayoutError('has a string whose end cannot be found');
  at += quote.length;
  // Up to two quotes may stand directly before the three that end a string of several lines.
  if (quote.length === 3) while (text[at] === quote[0]) at++;
  return at;
}

function endOfLine(text: string, at: number): number {
  const newline = text.indexOf('\n', at);
  return newline === -1 ? text.length : newline + 1;
}
