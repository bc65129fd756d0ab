import { parse } from 'smol-toml';
import type { Setting } from '../../clients/index.ts';
import { type Editor, firstInBrackets, type Span, type TextEdit } from './editor.ts';
import { nameOf, OddLayoutError } from './settings.ts';
import { readStatements, type Statement } from './toml-statements.ts';

/** TOML 1.0, by edits of lines. The caller parses the result, so a place that was misread becomes a refusal. */
export const tomlEditor: Editor = {
  parse: (text) => parse(text),

  edit(text, setting, { eol }) {
    const statements = readStatements(text);
    const { at } = setting;
    const table = at.slice(0, -1);
    const key = at.at(-1) ?? '';
    const existing = statements.find(({ kind, path }) => kind === 'key' && isSamePath(path, at));
    if (existing?.kind === 'key') return [editValue(text, existing.value, setting)];
    if (statements.some(({ kind, path }) => kind === 'tables' && isPrefix(path, at))) {
      throw new OddLayoutError(`has a list of tables at ${nameOf(table)}`);
    }
    const line = `${tomlKey(key)} = ${tomlValue('first' in setting ? [setting.first] : setting.set)}`;
    const index = statements.findIndex(({ kind, path }) => kind === 'table' && isSamePath(path, table));
    const header = statements[index];
    if (header !== undefined) return [lineInTable(text, { statements, index, line, eol })];
    return [
      newTable(text, { statements, setting, lines: `[${table.map(tomlKey).join('.')}]${eol}  ${line}${eol}`, eol }),
    ];
  },
};

function editValue(text: string, value: Span, setting: Setting): TextEdit {
  const written = text.slice(value.start, value.end);
  if ('first' in setting) {
    if (!written.startsWith('[')) throw new OddLayoutError(`has a ${nameOf(setting.at)} that is not a list`);
    return firstInBrackets(text, value, tomlValue(setting.first));
  }
  return { offset: value.start, length: value.end - value.start, text: tomlValue(setting.set) };
}

/** A new line behind the last key of the table, or behind its header. */
function lineInTable(
  text: string,
  { statements, index, line, eol }: { statements: readonly Statement[]; index: number; line: string; eol: string },
): TextEdit {
  const next = statements.findIndex(({ kind }, at) => at > index && kind !== 'key');
  const keys = statements.slice(index + 1, next === -1 ? undefined : next);
  const last = keys.at(-1) ?? statements[index];
  const end = last?.end ?? text.length;
  const indent = keys[0] === undefined ? `${indentOf(text, statements[index])}  ` : indentOf(text, keys[0]);
  return { offset: end, length: 0, text: `${endsLine(text, end) ? '' : eol}${indent}${line}${eol}` };
}

function newTable(
  text: string,
  {
    statements,
    setting,
    lines,
    eol,
  }: { statements: readonly Statement[]; setting: Setting; lines: string; eol: string },
): TextEdit {
  const { ahead } = setting;
  const follower = statements.find(({ kind, path }) => ahead !== undefined && kind !== 'key' && path[0] === ahead);
  if (follower !== undefined) return { offset: aboveComments(text, follower.start), length: 0, text: `${lines}${eol}` };
  const gap = text.trim() === '' ? '' : endsLine(text, text.length) ? eol : `${eol}${eol}`;
  return { offset: text.length, length: 0, text: `${gap}${lines}` };
}

/** The start of the comment lines that stand directly above this line: they belong to it. */
function aboveComments(text: string, lineStart: number): number {
  let start = lineStart;
  for (;;) {
    const previous = text.lastIndexOf('\n', start - 2) + 1;
    if (start === 0 || !/^[ \t]*#/.test(text.slice(previous, start))) return start;
    start = previous;
  }
}

function endsLine(text: string, end: number): boolean {
  return end === 0 || text[end - 1] === '\n';
}

function indentOf(text: string, statement: Statement | undefined): string {
  return /^[ \t]*/.exec(text.slice(statement?.start ?? 0))?.[0] ?? '';
}

function isSamePath(one: readonly string[], other: readonly string[]): boolean {
  return one.length === other.length && isPrefix(one, other);
}

function isPrefix(start: readonly string[], path: readonly string[]): boolean {
  return start.length <= path.length && start.every((key, at) => key === path[at]);
}

function tomlKey(key: string): string {
  return /^[A-Za-z0-9_-]+$/.test(key) ? key : JSON.stringify(key);
}

/** Strings as basic strings, whose escapes are those of JSON. */
function tomlValue(value: string | boolean | readonly string[]): string {
  return Array.isArray(value) ? `[${value.map((each) => JSON.stringify(each)).join(', ')}]` : JSON.stringify(value);
}
