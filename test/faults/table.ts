import type { Result } from './perform.ts';

const HEAD = ['what', 'reach', 'reached', ''];

/** Draws the rows, what was missed below, and what is to be known about the figures. */
export function drawTable(results: readonly Result[]): string {
  const rows = results.map(({ what, reach, outcome, met }) => [what, reach, outcome.figure, wordFor(met)]);
  const widths = HEAD.map((_, column) => Math.max(...[HEAD, ...rows].map((row) => (row[column] ?? '').length)));
  const line = (row: readonly string[]): string =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd();
  const below = results.flatMap(({ id, outcome: { misses, notes = [], skipped } }) => [
    ...(skipped === undefined ? [] : [`${id} was skipped: ${skipped}`]),
    ...misses.map((miss) => `${id} MISSED: ${miss}`),
    ...notes.map((note) => `${id}: ${note}`),
  ]);
  return [line(HEAD), widths.map((width) => '─'.repeat(width)).join('  '), ...rows.map(line), '', ...below].join('\n');
}

function wordFor(met: boolean | undefined): string {
  return met === undefined ? 'skipped' : met ? 'met' : 'MISSED';
}
