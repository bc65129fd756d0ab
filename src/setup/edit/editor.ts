import type { Setting } from '../../clients/index.ts';

/** Replaces `length` characters at `offset`. */
export interface TextEdit {
  readonly offset: number;
  readonly length: number;
  readonly text: string;
}

/** A format that can be changed at one place and stays as it is elsewhere. */
export interface Editor {
  /** @throws Error whose message says what is wrong, and where */
  readonly parse: (text: string) => unknown;
  /**
   * The edits that put one setting into a text that parses and does not have it yet.
   *
   * @throws OddLayoutError if the text is written in a way that has no obvious place for it
   */
  readonly edit: (text: string, setting: Setting, style: Style) => readonly TextEdit[];
}

/** How the file is written. */
export interface Style {
  /** What ends a line. */
  readonly eol: string;
}

export function applyEdits(text: string, edits: readonly TextEdit[]): string {
  return [...edits]
    .sort((a, b) => b.offset - a.offset)
    .reduce((each, { offset, length, text: inserted }) => {
      return each.slice(0, offset) + inserted + each.slice(offset + length);
    }, text);
}

/**
 * Puts an element in front of a list in brackets, between `start` (the opening bracket) and `end` (behind the closing one),
 * in the way the list is written: on a line of its own where the others are.
 */
export function firstInBrackets(text: string, { start, end }: Span, element: string): TextEdit {
  const inner = text.slice(start + 1, end - 1);
  if (inner.trim() === '') return { offset: start, length: end - start, text: `[${element}]` };
  const space = /^\s*/.exec(inner)?.[0] ?? '';
  return { offset: start + 1, length: 0, text: space === '' ? `${element}, ` : `${space}${element},` };
}

/** A piece of text. */
export interface Span {
  readonly start: number;
  /** Behind the last character. */
  readonly end: number;
}
