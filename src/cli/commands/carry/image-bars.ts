import { stripVTControlCharacters, styleText } from 'node:util';
import type { WarmImage } from '../../../admin/index.ts';
import { printable } from '../../../lib/index.ts';
import { formatBytes } from '../../../telemetry/index.ts';
import { count } from '../../format.ts';
import type { Output } from '../../output.ts';

/** What is drawn of one image. */
export type BarImage = Pick<WarmImage, 'image' | 'state' | 'bytes' | 'size' | 'error'>;

/** What is drawn of images that are fetched or copied. */
export interface BarsView {
  readonly images: readonly BarImage[];
  /** Images in all, and of them those that have ended. */
  readonly total: number;
  readonly ended: number;
  /** Of all of them, and what they are. */
  readonly bytes: number;
  readonly moved: 'fetched' | 'sent';
}

/** The terminal that bars are drawn on. */
export interface Terminal {
  /** Lines and columns now; a new pseudo-terminal says 0. */
  readonly rows: number | undefined;
  readonly columns: number | undefined;
}

const BAR_WIDTH = 20;
const DEFAULT_ROWS = 24;
const DEFAULT_COLUMNS = 80;
/** What is seen first where not all fit. */
const ORDER: readonly WarmImage['state'][] = ['running', 'failed', 'waiting', 'cancelled', 'done'];

/** Lines of a terminal that are drawn over: a bar for each image, as many as fit, and a line for all. */
export class ImageBars {
  readonly #output: Output;
  readonly #terminal: () => Terminal;
  #drawn = 0;

  constructor(output: Output, terminal: () => Terminal) {
    this.#output = output;
    this.#terminal = terminal;
  }

  draw(view: BarsView): void {
    const { rows, columns } = this.#terminal();
    const lines = formatBars(view, { rows: rows || DEFAULT_ROWS, columns: columns || DEFAULT_COLUMNS });
    this.#output.err(`${this.#start()}${lines.map((line) => `${line}\n`).join('')}`, 'drawn');
    this.#drawn = lines.length;
  }

  /** Takes the bars away, for other output. */
  clear(): void {
    if (this.#drawn > 0) this.#output.err(this.#start(), 'drawn');
    this.#drawn = 0;
  }

  /** To the first line that was drawn, and everything behind it cleared. */
  #start(): string {
    return this.#drawn === 0 ? '' : `\u001b[${this.#drawn}A\r\u001b[J`;
  }
}

/** The lines of a view, none wider than the terminal and not more than it has. */
export function formatBars(
  { images, total, ended, bytes, moved }: BarsView,
  { rows, columns }: { readonly rows: number; readonly columns: number },
): readonly string[] {
  // One line for all of them, and one that the cursor stands on.
  const room = Math.max(1, rows - 2);
  const first = [...images].sort((one, other) => ORDER.indexOf(one.state) - ORDER.indexOf(other.state));
  const shown = new Set(first.slice(0, room));
  const bars = images.filter((image) => shown.has(image));
  const longest = Math.max(8, ...bars.map(({ image }) => image.length));
  const width = Math.max(8, Math.min(columns - BAR_WIDTH - 24, longest));
  const lines = bars.map((image) => cut(formatBar(image, width), columns - 1));
  const hidden = total - bars.length;
  const rest = hidden > 0 ? `, ${hidden} not shown` : '';
  lines.push(cut(`${ended} of ${count(total, 'image')} done, ${formatBytes(bytes)} ${moved}${rest}`, columns - 1));
  return lines;
}

function formatBar(image: BarImage, width: number): string {
  const { state, bytes, size } = image;
  const name = shorten(clean(image.image), width).padEnd(width);
  const share = state === 'done' ? 1 : size === 0 ? 0 : Math.min(1, bytes / size);
  const filled = Math.floor(share * BAR_WIDTH);
  const bar = `[${'#'.repeat(filled)}${'-'.repeat(BAR_WIDTH - filled)}]`;
  const percent = `${Math.floor(share * 100)}%`.padStart(4);
  const sizes = size === 0 ? '' : ` of ${formatBytes(size)}`;
  switch (state) {
    case 'done':
      return `${name}  ${styleText('green', bar)} ${percent}${sizes}`;
    case 'failed':
      return `${name}  ${styleText('red', 'failed')}: ${clean(image.error ?? 'unknown error')}`;
    case 'cancelled':
      return `${name}  cancelled`;
    case 'running':
      return `${name}  ${bar} ${percent}${sizes}`;
    default:
      return `${name}  ${styleText('dim', image.error === undefined ? 'waiting' : `waiting: ${clean(image.error)}`)}`;
  }
}

/** The end of a name says more than its start. */
function shorten(name: string, width: number): string {
  return name.length <= width ? name : `…${name.slice(name.length - width + 1)}`;
}

/** Cuts a line, whose colors take no column. */
function cut(line: string, columns: number): string {
  const plain = stripVTControlCharacters(line);
  return plain.length <= columns ? line : `${plain.slice(0, Math.max(0, columns - 1))}…`;
}

/** A message of an upstream: no escape sequence of its reaches the terminal. */
export function clean(text: string): string {
  return printable(text);
}
