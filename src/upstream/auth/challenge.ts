/** One challenge of a `WWW-Authenticate` header. */
export interface Challenge {
  /** Lower case: `bearer`, `basic`, … */
  readonly scheme: string;
  /** Lower-case names; a name given twice keeps its first value. A null-prototype object. */
  readonly params: Readonly<Record<string, string>>;
}

const MAX_HEADER = 8 * 1024;
const MAX_CHALLENGES = 8;
const MAX_PARAMS = 16;

/**
 * Reads a `WWW-Authenticate` header with any number of challenges (RFC 9110, section 11.6.1).
 *
 * Lenient: an unquoted value may hold characters that a token may not (`realm=https://…`). Parsing stops at the first
 * syntax error; a header over 8 KiB holds no challenge.
 */
export function parseChallenges(header: string | undefined): readonly Challenge[] {
  if (header === undefined || header.length > MAX_HEADER) return [];
  const text = new Scanner(header);
  const challenges: Challenge[] = [];
  while (challenges.length < MAX_CHALLENGES) {
    text.skip(SEPARATOR);
    const scheme = text.take(TOKEN);
    if (scheme === '') return challenges;
    const params = readParams(text);
    challenges.push({ scheme: scheme.toLowerCase(), params: params.values });
    if (!params.complete) return challenges;
  }
  return challenges;
}

const TOKEN = /[!#$%&'*+.^_`|~0-9A-Za-z-]*/y;
const SPACE = /[ \t]*/y;
const SEPARATOR = /[ \t,]*/y;
const ASSIGNMENT = /[ \t]*=[ \t]*(?=[^ \t,=])/y;
const QUOTED = /"(?:[^"\\]|\\.)*"/y;
const UNQUOTED = /[^ \t,"]+/y;
const TOKEN68 = /[A-Za-z0-9._~+/-]+=*(?=[ \t]*(?:,|$))/y;

function readParams(text: Scanner): { values: Record<string, string>; complete: boolean } {
  const values: Record<string, string> = Object.create(null) as Record<string, string>;
  for (let count = 0; ; ) {
    const before = text.position;
    text.skip(count === 0 ? SPACE : SEPARATOR);
    const name = text.take(TOKEN).toLowerCase();
    if (name === '' || !text.skip(ASSIGNMENT)) {
      // Either the next challenge's scheme, or the one token68 a challenge may have instead of parameters.
      text.position = before;
      if (count > 0) return { values, complete: true };
      text.skip(SPACE);
      if (text.position > before) text.skip(TOKEN68);
      return { values, complete: true };
    }
    const quoted = text.take(QUOTED);
    const value = quoted === '' ? text.take(UNQUOTED) : quoted.slice(1, -1).replace(/\\(.)/g, '$1');
    if (quoted === '' && value === '') return { values, complete: false };
    if (!(name in values)) values[name] = value;
    count += 1;
    if (count > MAX_PARAMS) return { values, complete: false };
  }
}

/** A position in a text, moved by sticky expressions. */
class Scanner {
  readonly #text: string;
  position = 0;

  constructor(text: string) {
    this.#text = text;
  }

  /** The match at the position; empty where there is none. */
  take(expression: RegExp): string {
    expression.lastIndex = this.position;
    const found = expression.exec(this.#text)?.[0] ?? '';
    this.position += found.length;
    return found;
  }

  /** Moves past a match; true where it moved. */
  skip(expression: RegExp): boolean {
    return this.take(expression) !== '';
  }
}
