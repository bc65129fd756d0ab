// Characters that move a cursor, color, ring or reorder what stands around them: the controls of C0 and C1, those of the
// bidirectional algorithm (Unicode TR 9 §2), and the separators that some terminals take for an end of line.
const CONTROLS = /[\p{Cc}\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/gu;
const CONTROLS_IN_LINES = /(?![\n\t])[\p{Cc}\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/gu;
/** Most texts, and each line of a log: a quarter of the time of the other search. */
const PLAIN = /^[\n\t -~]*$/;

/**
 * A text from outside as one line that is safe on a terminal: each control character as `\u001b`. In JSON text that is the
 * same value.
 */
export function printable(text: string): string {
  return text.replace(CONTROLS, escapeOf);
}

/** As {@link printable}, but keeps the ends of lines and tabs. */
export function printableLines(text: string): string {
  return PLAIN.test(text) ? text : text.replace(CONTROLS_IN_LINES, escapeOf);
}

function escapeOf(found: string): string {
  return `\\u${found.charCodeAt(0).toString(16).padStart(4, '0')}`;
}
