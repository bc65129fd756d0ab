import { type Figure, judge, ratioTo } from './figures.ts';
import { median, spread } from './statistics.ts';

const HEAD = [
  '',
  'work',
  'subject',
  'figure',
  '',
  'spread',
  '× nginx',
  '× registry',
  '× distribution',
  '× squid',
  'goal',
];
/** Columns that are read by their last digit. */
const RIGHT = new Set([3, 5, 6, 7, 8, 9]);

/** Draws every figure as a line of a table, with its notes below. */
export function drawTable(figures: readonly Figure[]): string {
  const notes: string[] = [];
  const rows = figures.map((figure, i) => {
    const before = figures[i - 1];
    const isNew = before === undefined || before.bench !== figure.bench || before.work !== figure.work;
    return [
      before?.bench === figure.bench ? '' : figure.bench,
      isNew ? figure.work : '',
      `${figure.subject}${figure.note === undefined ? '' : ` [${noteNumber(notes, figure.note)}]`}`,
      formatNumber(median(figure.samples)),
      figure.unit,
      figure.samples.length > 1 ? `±${Math.round(spread(figure.samples) * 100)} %` : '',
      formatRatio(ratioTo('nginx', figure, figures)),
      formatRatio(ratioTo('docker-registry', figure, figures)),
      formatRatio(ratioTo('distribution', figure, figures)),
      formatRatio(ratioTo('squid', figure, figures)),
      judge(figure, figures).map(describeVerdict).join('; '),
    ];
  });
  const widths = HEAD.map((_, column) => Math.max(...[HEAD, ...rows].map((row) => (row[column] ?? '').length)));
  const line = (row: readonly string[]): string =>
    row
      .map((cell, column) =>
        RIGHT.has(column) ? cell.padStart(widths[column] ?? 0) : cell.padEnd(widths[column] ?? 0),
      )
      .join('  ')
      .trimEnd();
  const rule = widths.map((width) => '─'.repeat(width)).join('  ');
  const body = rows.flatMap((row, i) => (i > 0 && row[0] !== '' ? [rule, line(row)] : [line(row)]));
  return [line(HEAD), rule, ...body, ...notes.map((note, i) => `[${i + 1}] ${note}`)].join('\n');
}

/** Three significant digits: nothing here is measured better than that. */
export function formatNumber(value: number): string {
  if (value >= 1000) return Math.round(value).toLocaleString('en');
  return Number.isInteger(value) ? String(value) : value.toPrecision(3);
}

function noteNumber(notes: string[], note: string): number {
  const known = notes.indexOf(note);
  return known >= 0 ? known + 1 : notes.push(note);
}

function formatRatio(ratio: number | undefined): string {
  return ratio === undefined ? '' : ratio >= 100 ? String(Math.round(ratio)) : ratio.toPrecision(2);
}

function describeVerdict({ text, met, later }: ReturnType<typeof judge>[number]): string {
  const word = met === undefined ? 'not known' : met ? 'met' : later ? 'not yet' : 'MISSED';
  return `${text}${later ? ' later' : ''}: ${word}`;
}
