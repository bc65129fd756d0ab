import type { Setting } from '../../clients/index.ts';
import { type Editor, firstInBrackets, type Span, type Style, type TextEdit } from './editor.ts';
import { isMap, nameOf, OddLayoutError } from './settings.ts';

/**
 * Strict JSON, as Docker reads it: without comments. A valid text needs no parser with positions: strings and brackets
 * tell where a value ends.
 */
export const jsonEditor: Editor = {
  parse(text) {
    try {
      return JSON.parse(text);
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      const comment = hasComment(text)
        ? '; it has a comment, which JSON has not, and which its reader refuses too'
        : '';
      throw new Error(`${reason}${comment}`, { cause: error });
    }
  },

  edit(text, setting, style) {
    const start = text.search(/\S/);
    if (!isMap(JSON.parse(text))) throw new OddLayoutError('is not an object');
    return editObject(text, { start, end: endOfValue(text, start) }, { at: setting.at, setting, style });
  },
};

interface Place {
  readonly at: readonly string[];
  readonly setting: Setting;
  readonly style: Style;
}

function editObject(text: string, object: Span, { at, setting, style }: Place): readonly TextEdit[] {
  const [key = '', ...rest] = at;
  const members = membersOf(text, object);
  const named = members.filter((member) => member.name === key);
  if (named.length > 1) throw new OddLayoutError(`has ${nameOf([key])} twice`);
  const [member] = named;
  if (member === undefined) return [newMember(text, object, { members, key, value: valueText(rest, setting), style })];
  const { value } = member;
  if (rest.length > 0 && text[value.start] === '{') return editObject(text, value, { at: rest, setting, style });
  if (rest.length === 0 && 'first' in setting && text[value.start] === '[') {
    return [firstInBrackets(text, value, JSON.stringify(setting.first))];
  }
  return [{ offset: value.start, length: value.end - value.start, text: valueText(rest, setting) }];
}

/** The value of a key that is new, with the keys that lead to it. */
function valueText(rest: readonly string[], setting: Setting): string {
  const value = 'first' in setting ? [setting.first] : setting.set;
  return rest.reduceRight((inner, key) => `{ ${JSON.stringify(key)}: ${inner} }`, JSON.stringify(value));
}

interface Member {
  readonly name: string;
  /** Where its key begins. */
  readonly start: number;
  readonly value: Span;
}

function newMember(
  text: string,
  object: Span,
  { members, key, value, style }: { members: readonly Member[]; key: string; value: string; style: Style },
): TextEdit {
  const member = `${JSON.stringify(key)}: ${value}`;
  const last = members.at(-1);
  if (last === undefined) {
    const outer = indentAt(text, object.start);
    const inner = `{${style.eol}${outer}  ${member}${style.eol}${outer}}`;
    return { offset: object.start, length: object.end - object.start, text: inner };
  }
  // On a line of its own where the last one has that, else on the same line.
  const before = /[\r\n][ \t]*$/.exec(text.slice(0, last.start))?.[0];
  const space = before === undefined ? ' ' : `${style.eol}${before.replace(/^[\r\n]+/, '')}`;
  return { offset: last.value.end, length: 0, text: `,${space}${member}` };
}

function membersOf(text: string, object: Span): readonly Member[] {
  const members: Member[] = [];
  let at = skip(text, object.start + 1);
  while (text[at] === '"') {
    const start = at;
    const end = endOfValue(text, start);
    const name: unknown = JSON.parse(text.slice(start, end));
    const value = skip(text, skip(text, end) + 1);
    const behind = endOfValue(text, value);
    members.push({ name: String(name), start, value: { start: value, end: behind } });
    at = skip(text, behind);
    if (text[at] === ',') at = skip(text, at + 1);
  }
  return members;
}

/** Behind the value that begins here, in a text that is valid. */
function endOfValue(text: string, start: number): number {
  let depth = 0;
  for (let at = start; at < text.length; at++) {
    const character = text[at] ?? '';
    if (character === '"') {
      at = endOfString(text, at) - 1;
      if (depth === 0) return at + 1;
    } else if ('[{'.includes(character)) depth++;
    else if (']}'.includes(character)) {
      depth--;
      if (depth === 0) return at + 1;
      if (depth < 0) return at;
    } else if (depth === 0 && /[,\s]/.test(character)) return at;
  }
  return text.length;
}

function endOfString(text: string, start: number): number {
  let at = start + 1;
  while (at < text.length && text[at] !== '"') at += text[at] === '\\' ? 2 : 1;
  return at + 1;
}

function skip(text: string, at: number): number {
  const rest = /\S/.exec(text.slice(at));
  return rest === null ? text.length : at + rest.index;
}

/** The white space at the start of the line of this offset. */
function indentAt(text: string, offset: number): string {
  const line = text.slice(text.lastIndexOf('\n', offset - 1) + 1, offset);
  return /^[ \t]*/.exec(line)?.[0] ?? '';
}

function hasComment(text: string): boolean {
  return /\/\/|\/\*/.test(text.replace(/"(?:[^"\\\n]|\\.)*"/g, '""'));
}
