import type { EditedFile, Setting } from '../../clients/index.ts';
import { applyEdits, type Editor } from './editor.ts';
import { jsonEditor } from './json.ts';
import { isSameData, isSet, OddLayoutError, withSetting } from './settings.ts';
import { tomlEditor } from './toml.ts';
import { yamlEditor } from './yaml.ts';

type Edited =
  | { readonly kind: 'same' }
  | { readonly kind: 'changed'; readonly text: string }
  /** The file stays as it is. The reason ends the sentence "FILE …". */
  | { readonly kind: 'refused'; readonly reason: string };

type Format = EditedFile['format'];
const EDITORS: Readonly<Record<Format, Editor>> = { json: jsonEditor, toml: tomlEditor, yaml: yamlEditor };
const BYTE_ORDER_MARK = '\ufeff';

/** What a file says. @throws Error whose message says what is wrong, and where */
export function parseFile(format: Format, text: string): unknown {
  const body = withoutMark(text);
  return body.trim() === '' ? {} : EDITORS[format].parse(body);
}

/**
 * Puts settings into a file, and changes nothing else: no comment, order, indentation, line ending or other value. The
 * result is parsed and compared with what it should say, so that a place that was misread is a refusal and never a
 * broken file.
 *
 * @param content the whole file where the text says nothing yet
 */
export function editFile(
  { format, settings, content }: Pick<EditedFile, 'format' | 'settings' | 'content'>,
  text: string,
): Edited {
  const mark = text.startsWith(BYTE_ORDER_MARK) ? BYTE_ORDER_MARK : '';
  const body = withoutMark(text);
  const eol = /\r?\n/.exec(body)?.[0] ?? '\n';
  if (body.trim() === '') return { kind: 'changed', text: `${mark}${content.replaceAll('\n', eol)}${eol}` };
  const editor = EDITORS[format];
  let before: unknown;
  try {
    before = editor.parse(body);
  } catch (error) {
    return { kind: 'refused', reason: `is not valid ${format.toUpperCase()}: ${messageOf(error)}` };
  }
  try {
    const missing = settings.filter((setting) => !isSet(before, setting));
    if (missing.length === 0) return { kind: 'same' };
    const edited = missing.reduce((each, setting) => applyEdits(each, editor.edit(each, setting, { eol })), body);
    const wanted = missing.reduce<unknown>((each, setting) => withSetting(each, setting), before);
    if (!isSameData(editor.parse(edited), wanted)) throw new OddLayoutError('is written in an unusual way');
    return { kind: 'changed', text: mark + edited };
  } catch (error) {
    const reason = error instanceof OddLayoutError ? error.message : 'is written in an unusual way';
    return { kind: 'refused', reason: `${reason}, and is left alone; ${byHand(settings)}` };
  }
}

function byHand(settings: readonly Setting[]): string {
  const wanted = settings.map((setting) =>
    'first' in setting
      ? `${JSON.stringify(setting.first)} to ${setting.at.map((key) => JSON.stringify(key)).join(' → ')}`
      : `${JSON.stringify(setting.set)} as ${setting.at.map((key) => JSON.stringify(key)).join(' → ')}`,
  );
  return `by hand, add ${wanted.join(', and ')}`;
}

function withoutMark(text: string): string {
  return text.startsWith(BYTE_ORDER_MARK) ? text.slice(1) : text;
}

/** The first line: parsers add an excerpt below it. */
function messageOf(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).split('\n')[0] ?? '';
}
