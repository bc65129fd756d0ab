interface Place {
  readonly line: number;
  readonly column: number;
}

/** Values deeper than this have the place of those around them. */
const MAX_DEPTH = 32;

/**
 * The place of each key and list item of a TOML text that a parser has accepted, by its path joined with `\0`: smol-toml
 * gives none. What it does not understand has no place of its own.
 */
export function tomlPlaces(text: string): ReadonlyMap<string, Place> {
  return new Scanner(text).scan();
}

class Scanner {
  readonly #text: string;
  readonly #places = new Map<string, Place>();
  /** The number of items so far of each list of tables (`[[name]]`). */
  readonly #counts = new Map<string, number>();
  #at = 0;
  #line = 1;
  #lineStart = 0;

  constructor(text: string) {
    this.#text = text;
  }

  scan(): ReadonlyMap<string, Place> {
    let table: readonly string[] = [];
    for (this.#skipBlank(); this.#at < this.#text.length; this.#skipBlank()) {
      const start = this.#at;
      if (this.#peek() === '[') table = this.#header();
      else this.#pair(table, 0);
      if (this.#at === start) this.#step();
    }
    return this.#places;
  }

  /** `[a.b]` or `[[a.b]]`. */
  #header(): readonly string[] {
    const place = this.#place();
    const isList = this.#text.startsWith('[[', this.#at);
    this.#at += isList ? 2 : 1;
    const key = this.#key();
    while (this.#peek() === ']') this.#step();
    const path: string[] = [];
    for (const [index, part] of key.entries()) {
      path.push(part);
      const list = path.join('\0');
      const isLast = index === key.length - 1;
      if (isLast && isList) this.#counts.set(list, (this.#counts.get(list) ?? -1) + 1);
      const count = this.#counts.get(list);
      if (!this.#places.has(list)) this.#places.set(list, place);
      if (count !== undefined) path.push(String(count));
    }
    this.#places.set(path.join('\0'), place);
    return path;
  }

  #pair(table: readonly string[], depth: number): void {
    const place = this.#place();
    const path = [...table, ...this.#key()];
    for (let length = table.length + 1; length <= path.length; length++) {
      const name = path.slice(0, length).join('\0');
      if (!this.#places.has(name)) this.#places.set(name, place);
    }
    if (this.#peek() !== '=') return;
    this.#step();
    this.#skipSpace();
    this.#value(path, depth);
  }

  /** Parts of a key: bare or quoted, with dots between. */
  #key(): readonly string[] {
    const parts: string[] = [];
    for (;;) {
      this.#skipSpace();
      const quote = this.#peek();
      if (quote === '"' || quote === "'") parts.push(this.#string(quote));
      else {
        const start = this.#at;
        while (/[\w-]/.test(this.#peek())) this.#at += 1;
        if (this.#at === start) return parts;
        parts.push(this.#text.slice(start, this.#at));
      }
      this.#skipSpace();
      if (this.#peek() !== '.') return parts;
      this.#at += 1;
    }
  }

  #value(path: readonly string[], depth: number): void {
    const first = this.#peek();
    if (first === '"' || first === "'") this.#string(first);
    else if ((first === '[' || first === '{') && depth < MAX_DEPTH) this.#nested(path, depth);
    else while (this.#at < this.#text.length && !/[\n,\]}#]/.test(this.#peek())) this.#at += 1;
  }

  #nested(path: readonly string[], depth: number): void {
    const isList = this.#peek() === '[';
    const close = isList ? ']' : '}';
    this.#at += 1;
    for (let index = 0; this.#at < this.#text.length; ) {
      this.#skipBlank();
      const start = this.#at;
      if (this.#peek() === close) {
        this.#at += 1;
        return;
      }
      if (this.#peek() === ',') {
        this.#at += 1;
        index += 1;
      } else if (isList) {
        this.#places.set([...path, String(index)].join('\0'), this.#place());
        this.#value([...path, String(index)], depth + 1);
      } else this.#pair(path, depth + 1);
      if (this.#at === start) this.#step();
    }
  }

  /** A string of one line or of several; its text where it is a key. */
  #string(quote: string): string {
    const mark = this.#text.startsWith(quote.repeat(3), this.#at) ? quote.repeat(3) : quote;
    this.#at += mark.length;
    let found = '';
    while (this.#at < this.#text.length && !this.#text.startsWith(mark, this.#at)) {
      if (quote === '"' && this.#peek() === '\\') {
        this.#at += 1;
        found += this.#peek();
      } else found += this.#peek();
      this.#step();
    }
    this.#at += mark.length;
    // Up to two more quotes belong to a long string.
    while (mark.length === 3 && this.#peek() === quote) this.#at += 1;
    return found;
  }

  /** Spaces, line ends and comments. */
  #skipBlank(): void {
    for (;;) {
      const next = this.#peek();
      if (next === '#') while (this.#at < this.#text.length && this.#peek() !== '\n') this.#at += 1;
      else if (next !== '' && /\s/.test(next)) this.#step();
      else return;
    }
  }

  #skipSpace(): void {
    while (this.#peek() === ' ' || this.#peek() === '\t') this.#at += 1;
  }

  #peek(): string {
    return this.#text[this.#at] ?? '';
  }

  #step(): void {
    if (this.#peek() === '\n') {
      this.#line += 1;
      this.#lineStart = this.#at + 1;
    }
    this.#at += 1;
  }

  #place(): Place {
    return { line: this.#line, column: this.#at - this.#lineStart + 1 };
  }
}
