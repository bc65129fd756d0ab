import type { TransferStatus } from '../admin/index.ts';
import { formatBytes } from '../telemetry/index.ts';

/** What `--json` prints. */
export function formatJson(value: unknown): string {
  return `${JSON.stringify(value, null, 2)}\n`;
}

/** `1 blob`, `2 blobs` */
export function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? '' : 's'}`;
}

/** Columns as wide as their widest cell, two spaces apart. */
export function formatTable(rows: readonly (readonly string[])[]): string[] {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => widthOf(row[column] ?? ''))));
  return rows.map((row) =>
    row
      .map((cell, column) => `${cell}${' '.repeat(Math.max(0, (widths[column] ?? 0) - widthOf(cell)))}`)
      .join('  ')
      .trimEnd(),
  );
}

/** Two columns of a terminal: East Asian wide characters (Unicode TR 11) and emoji. */
const WIDE =
  /[\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff01-\uff60\uffe0-\uffe6\u{20000}-\u{3fffd}]|\p{Emoji_Presentation}/u;
/** No column: marks that join the character before them, and what formats. */
const NARROW = /[\p{Mn}\p{Me}\p{Cf}]/u;

/** Columns of a terminal that a text takes. */
function widthOf(text: string): number {
  let width = 0;
  for (const character of text) width += NARROW.test(character) ? 0 : WIDE.test(character) ? 2 : 1;
  return width;
}

/** Rows shown; `--json` has more. */
const MAX_SHOWN = 50;

/** A table of the first rows, and how many more there are of `total`; nothing where there are no rows. */
export function formatList(head: readonly string[], rows: readonly (readonly string[])[], total: number): string[] {
  const shown = rows.slice(0, MAX_SHOWN);
  const lines = shown.length === 0 ? [] : formatTable([head, ...shown]);
  return total > shown.length ? [...lines, `and ${total - shown.length} more`] : lines;
}

/** The algorithm and the first twelve characters, as docker shows a digest. */
export function shortDigest(digest: string): string {
  const colon = digest.indexOf(':');
  return digest.slice(0, colon + 13);
}

const BAR_WIDTH = 20;

/** `[##########----------]  52% of 12.3 MiB`, or only the bytes where the size is unknown. */
export function formatProgress({ bytes, size }: Pick<TransferStatus, 'bytes' | 'size'>): string {
  if (size === undefined) return formatBytes(bytes);
  const share = size === 0 ? 1 : Math.min(1, bytes / size);
  const filled = Math.floor(share * BAR_WIDTH);
  const percent = `${Math.floor(share * 100)}%`.padStart(4);
  return `[${'#'.repeat(filled)}${'-'.repeat(BAR_WIDTH - filled)}] ${percent} of ${formatBytes(size)}`;
}

/** `2026-11-29 12:00:00Z`. @param time milliseconds since 1970 */
export function formatInstant(time: number): string {
  return `${new Date(time).toISOString().slice(0, 19).replace('T', ' ')}Z`;
}

/** `12 s`, `3 min 4 s`, `5 h 6 min`, `7 d 8 h`: the two largest units. */
export function formatDuration(seconds: number): string {
  const units: readonly (readonly [string, number])[] = [
    ['d', 86_400],
    ['h', 3600],
    ['min', 60],
    ['s', 1],
  ];
  let rest = Math.max(0, Math.floor(seconds));
  const first = units.findIndex(([, size]) => rest >= size);
  if (first < 0) return '0 s';
  const parts: string[] = [];
  for (const [name, size] of units.slice(first, first + 2)) {
    if (rest >= size) parts.push(`${Math.floor(rest / size)} ${name}`);
    rest %= size;
  }
  return parts.join(' ');
}
