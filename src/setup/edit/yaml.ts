import { isScalar, isSeq, isMap as isYamlMap, type Pair, parseDocument, type YAMLMap } from 'yaml';
import type { Setting } from '../../clients/index.ts';
import { type Editor, firstInBrackets, type TextEdit } from './editor.ts';
import { nameOf, OddLayoutError } from './settings.ts';

/** YAML of one document, changed by whole lines of the block style. */
export const yamlEditor: Editor = {
  parse(text) {
    const document = parseDocument(text);
    const [error] = document.errors;
    if (error !== undefined) throw new Error(error.message.split('\n')[0]);
    return document.toJS({ maxAliasCount: MAX_ALIASES });
  },

  edit(text, setting, { eol }) {
    const { contents } = parseDocument(text);
    if (isYamlMap(contents)) return [editMap(text, contents, { at: setting.at, setting, eol })];
    if (contents !== null && !(isScalar(contents) && contents.value === null)) throw new OddLayoutError('is not a map');
    if (/^(?:---|\.\.\.)/m.test(text)) throw new OddLayoutError('is empty but for its markers');
    const lines = block(setting.at, { setting, indent: '', eol });
    return [{ offset: text.length, length: 0, text: `${text === '' || text.endsWith('\n') ? '' : eol}${lines}` }];
  },
};

/** `billion laughs` is not for a file of a few lines. */
const MAX_ALIASES = 100;

interface Place {
  /** The keys that are left, from this map on. */
  readonly at: readonly string[];
  readonly setting: Setting;
  readonly eol: string;
}

function editMap(text: string, map: YAMLMap, { at, setting, eol }: Place): TextEdit {
  const [key = '', ...rest] = at;
  if (map.flow === true) throw new OddLayoutError(`writes ${nameOf([key])} within braces`);
  const pair = map.items.find((each) => isScalar(each.key) && each.key.value === key);
  if (pair === undefined) return newPair(text, map, { at, setting, eol });
  const { value } = pair;
  if (isYamlMap(value) && rest.length > 0) return editMap(text, value, { at: rest, setting, eol });
  if (isScalar(value) && value.value === null && rest.length > 0)
    return fillEmpty(text, pair, { at: rest, setting, eol });
  if (rest.length > 0 || value === null) throw new OddLayoutError(`has a ${nameOf([key])} that is not a map`);
  if ('first' in setting) {
    if (isSeq(value)) return firstInList(text, value, { setting: setting.first, eol });
    throw new OddLayoutError(`has a ${nameOf(setting.at)} that is not a list`);
  }
  if (!isScalar(value) || value.range === undefined || value.range === null || value.anchor !== undefined) {
    throw new OddLayoutError(`has a ${nameOf(setting.at)} that is not a plain value`);
  }
  const [start, end] = value.range;
  return { offset: start, length: end - start, text: JSON.stringify(setting.set) };
}

function firstInList(
  text: string,
  list: {
    readonly flow?: boolean | undefined;
    readonly items: readonly unknown[];
    readonly range?: Range | null | undefined;
  },
  { setting, eol }: { readonly setting: string; readonly eol: string },
): TextEdit {
  if (!list.range) throw new OddLayoutError('has a list without a place');
  const [start, end] = list.range;
  if (list.flow === true) return firstInBrackets(text, { start, end }, JSON.stringify(setting));
  // A block list begins at its first dash.
  const line = startOfLine(text, start);
  const indent = text.slice(line, start);
  if (indent.trim() !== '') throw new OddLayoutError('has a list that begins on the line of its key');
  return { offset: line, length: 0, text: `${indent}- ${JSON.stringify(setting)}${eol}` };
}

type Range = readonly [start: number, valueEnd: number, nodeEnd: number];

/** New lines behind the last value of the map, in front of the comments that follow it. */
function newPair(text: string, map: YAMLMap, { at, setting, eol }: Place): TextEdit {
  const offset = rangeOf(map.items[0]?.key);
  const line = startOfLine(text, offset);
  const indent = text.slice(line, offset);
  if (indent.trim() !== '') throw new OddLayoutError('has a map that begins behind something else on its line');
  const last = rangeOfPair(map.items.at(-1));
  const end = endOfLine(text, last);
  const lines = block(at, { setting, indent, eol });
  return { offset: end, length: 0, text: `${end === 0 || text[end - 1] === '\n' ? '' : eol}${lines}` };
}

/** `mirrors:` with nothing behind it. */
function fillEmpty(text: string, pair: Pair, { at, setting, eol }: Place): TextEdit {
  const start = rangeOf(pair.key);
  const line = startOfLine(text, start);
  const indent = text.slice(line, start);
  const end = endOfLine(text, start);
  if (indent.trim() !== '' || !/:[ \t]*(?:#.*)?\r?\n?$/.test(text.slice(start, end))) {
    throw new OddLayoutError('has an empty value that is written out');
  }
  const lines = block(at, { setting, indent: `${indent}  `, eol });
  return { offset: end, length: 0, text: `${text[end - 1] === '\n' ? '' : eol}${lines}` };
}

/** The keys below each other, and the value under the last. */
function block(
  at: readonly string[],
  { setting, indent, eol }: { readonly setting: Setting; readonly indent: string; readonly eol: string },
): string {
  const last = at.length - 1;
  const keys = at.map((key, depth) => {
    const value = depth === last && !('first' in setting) ? ` ${JSON.stringify(setting.set)}` : '';
    return `${indent}${'  '.repeat(depth)}${yamlKey(key)}:${value}${eol}`;
  });
  const item = 'first' in setting ? `${indent}${'  '.repeat(at.length)}- ${JSON.stringify(setting.first)}${eol}` : '';
  return keys.join('') + item;
}

function yamlKey(key: string): string {
  return /^[A-Za-z_][A-Za-z0-9_]*$/.test(key) ? key : JSON.stringify(key);
}

function rangeOf(node: unknown): number {
  if (!isScalar(node) || !node.range) throw new OddLayoutError('has a key that is not a plain word');
  return node.range[0];
}

/** The end of the last value of a pair, without the comments and blank lines behind it. */
function rangeOfPair(pair: Pair | undefined): number {
  const value = pair?.value;
  if (isYamlMap(value) && value.flow !== true && value.items.length > 0) return rangeOfPair(value.items.at(-1));
  if (isSeq(value) && value.flow !== true && value.items.length > 0) {
    const last = value.items.at(-1);
    if (isYamlMap(last) && last.flow !== true && last.items.length > 0) return rangeOfPair(last.items.at(-1));
    if ((isScalar(last) || isYamlMap(last) || isSeq(last)) && last.range) return last.range[1];
  }
  if ((isScalar(value) || isYamlMap(value) || isSeq(value)) && value.range) return value.range[1];
  return rangeOf(pair?.key);
}

function startOfLine(text: string, offset: number): number {
  return text.lastIndexOf('\n', offset - 1) + 1;
}

/** Behind the newline of this offset's line. An offset directly behind a newline has ended its line already. */
function endOfLine(text: string, offset: number): number {
  if (offset > 0 && text[offset - 1] === '\n') return offset;
  const newline = text.indexOf('\n', offset);
  return newline === -1 ? text.length : newline + 1;
}
