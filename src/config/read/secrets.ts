import { REDACTED } from '../schema/index.ts';

/** A secret file is read up to this many bytes, as at run time. */
export const MAX_SECRET_BYTES = 64 * 1024;

/** Whether a text holds nothing, as the end of a sentence; undefined for any other text. Pure. */
export function blankness(text: string): 'is empty' | 'is only white space' | undefined {
  if (text === '') return 'is empty';
  return text.trim() === '' ? 'is only white space' : undefined;
}

/** `$TOKEN` is no reference here, but the text itself. */
export function isVariable(text: string): boolean {
  return /^\$(?:\{\w+\}|[A-Z_]\w*)$/i.test(text);
}

/**
 * What makes a secret look like a mistake, as the end of a sentence; undefined where nothing does. It never quotes the secret.
 * Pure.
 */
export function oddityOf(text: string): string | undefined {
  if (text === REDACTED) return `is ${REDACTED}, by which secrets are shown, and not the secret itself`;
  if (isVariable(text)) return 'looks like a variable, and is taken as it stands';
  if (/[\r\n]\s*$/.test(text)) return 'ends with a line break, which is sent with it';
  if (/[\r\n]/.test(text)) return 'has several lines, which are all sent';
  return text === text.trim() ? undefined : 'begins or ends with white space, which is sent with it';
}

/** A secret that is refused, as messages show it: its shape, and nothing of its content. Pure. */
export function shapeOf(value: unknown): string | undefined {
  if (typeof value === 'number') return 'a number';
  if (typeof value !== 'string') return undefined;
  const blank = blankness(value);
  if (blank !== undefined) return blank === 'is empty' ? 'an empty text' : 'only white space';
  return /[\r\n]/.test(value) ? 'a text of several lines' : undefined;
}
