import { printableLines } from '../../src/lib/printable.ts';

/**
 * Reads JSON of the server for this page. Control characters in its texts become `\\u202e`, as on a terminal: user agents, names
 * and errors come from outside, and a control of the bidirectional algorithm would reorder what stands beside them.
 *
 * @throws {SyntaxError}
 */
export function parseShown(json: string): unknown {
  // Most answers have none, neither written out nor escaped.
  if (printableLines(json) === json && !json.includes('\\u')) return JSON.parse(json);
  return JSON.parse(json, (_, value: unknown) => (typeof value === 'string' ? printableLines(value) : value));
}
