import type { PullSummary } from '../../../admin/index.ts';
import { formatBytes } from '../../../telemetry/index.ts';
import { formatDuration, formatTable } from '../../format.ts';

interface TableOptions {
  /** Of the terminal; undefined: nothing is cut. */
  readonly columns: number | undefined;
  /** Milliseconds since 1970. */
  readonly now: number;
}

const HEAD = ['ID', 'TIME UTC', 'OUTCOME', 'SENT', 'TOOK', 'CLIENT', 'IMAGE'];
/** Columns between two columns of a table. */
const GAP = 2;
/** The least columns of a client and of an image. */
const LEAST_CLIENT = 8;
const LEAST_IMAGE = 16;
const DAY = 86_400_000;

/** A table of pulls, as wide as the terminal at most. */
export function formatPulls(pulls: readonly PullSummary[], options: TableOptions): string {
  const rows = pulls.map((pull) => rowOf(pull, options.now));
  return `${formatTable(fitted([HEAD, ...rows], options.columns)).join('\n')}\n`;
}

/** Keeps the widths of columns from line to line, where pulls are printed one by one. */
export class PullLines {
  readonly #columns: number | undefined;
  #isBegun = false;

  constructor(columns: number | undefined) {
    this.#columns = columns;
  }

  /** The line of a pull, with a head before the first one. @param now milliseconds since 1970 */
  next(pull: PullSummary, now: number): string {
    const row = rowOf(pull, now).map((cell, at) => cell.padEnd(USUAL[at] ?? 0));
    const head = HEAD.map((cell, at) => cell.padEnd(USUAL[at] ?? 0));
    const lines = formatTable(fitted([head, row], this.#columns));
    const shown = this.#isBegun ? lines.slice(1) : lines;
    this.#isBegun = true;
    return `${shown.join('\n')}\n`;
  }
}

/** Columns that are enough for most pulls. */
const USUAL = [8, 8, 7, 9, 5, 12];

/** `docker.io/library/nginx:1.27`, `docker.io/library/nginx@sha256:0123456789ab` */
export function imageOf({ registry, repository, reference }: PullSummary): string {
  const colon = reference.indexOf(':');
  return `${registry}/${repository}${colon === -1 ? `:${reference}` : `@${reference.slice(0, colon + 13)}`}`;
}

/** `0.4 ms`, `12 ms`, `1.2 s`, `3 min 4 s` */
export function formatMilliseconds(milliseconds: number): string {
  if (milliseconds < 10) return `${Number(milliseconds.toFixed(1))} ms`;
  if (milliseconds < 1000) return `${Math.round(milliseconds)} ms`;
  return milliseconds < 10_000 ? `${(milliseconds / 1000).toFixed(1)} s` : formatDuration(milliseconds / 1000);
}

function rowOf(pull: PullSummary, now: number): readonly string[] {
  const { id, at, running, outcome, bytes, durationMs, client, user } = pull;
  return [
    id,
    formatTime(at, now),
    running === true ? 'running' : outcome,
    formatBytes(bytes),
    shortTime(durationMs),
    user ?? (client === '' ? 'socket' : client),
    imageOf(pull),
  ];
}

/** Six characters at most: `12 ms`, `1.2 s`, `61 s`, `3 min`, `5 h`. */
function shortTime(milliseconds: number): string {
  const seconds = milliseconds / 1000;
  if (seconds < 10) return formatMilliseconds(milliseconds);
  if (seconds < 100) return `${Math.round(seconds)} s`;
  return seconds < 6000 ? `${Math.round(seconds / 60)} min` : `${Math.round(seconds / 3600)} h`;
}

/** `12:03:44`, or `11-28 12:03` where that was more than a day ago. */
function formatTime(at: number, now: number): string {
  const text = new Date(at).toISOString();
  return now - at < DAY ? text.slice(11, 19) : text.slice(5, 16).replace('T', ' ');
}

/** Cuts clients and images to what the other columns leave. */
function fitted(rows: readonly (readonly string[])[], columns: number | undefined): readonly (readonly string[])[] {
  if (columns === undefined || columns === 0) return rows;
  const width = (at: number): number => Math.max(...rows.map((row) => (row[at] ?? '').length));
  const others = [0, 1, 2, 3, 4].reduce((sum, at) => sum + width(at) + GAP, 0);
  const left = columns - others - GAP;
  const image = Math.max(LEAST_IMAGE, left - width(5));
  const client = Math.max(LEAST_CLIENT, left - Math.min(image, width(6)));
  return rows.map((row) => [...row.slice(0, 5), cutEnd(row[5] ?? '', client), cutStart(row[6] ?? '', image)]);
}

function cutEnd(text: string, width: number): string {
  return text.length <= width ? text : `${text.slice(0, width - 1)}…`;
}

/** The end of the name of an image says more than its registry. */
function cutStart(text: string, width: number): string {
  return text.length <= width ? text : `…${text.slice(1 - width)}`;
}
