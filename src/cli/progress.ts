import type { TransferStatus } from '../admin/index.ts';
import { formatBytes } from '../telemetry/index.ts';

const BAR_WIDTH = 20;

/** `[##########----------]  52% of 12.3 MiB`, or only the bytes where the whole is not known. */
export function formatProgress({ bytes, size }: Pick<TransferStatus, 'bytes' | 'size'>): string {
  if (size === undefined) return formatBytes(bytes);
  const share = size === 0 ? 1 : Math.min(1, bytes / size);
  const filled = Math.floor(share * BAR_WIDTH);
  const percent = `${Math.floor(share * 100)}%`.padStart(4);
  return `[${'#'.repeat(filled)}${'-'.repeat(BAR_WIDTH - filled)}] ${percent} of ${formatBytes(size)}`;
}

/** `12 s`, `3 min 4 s`, `5 h 6 min`, `7 d 8 h`: the two largest units. */
export function formatDuration(seconds: number): string {
  const units: readonly (readonly [string, number])[] = [
    ['d', 86_400],
    ['h', 3600],
    ['min', 60],
    ['s', 1],
  ];
  const whole = Math.max(0, Math.floor(seconds));
  const first = units.findIndex(([, size]) => whole >= size);
  if (first < 0) return '0 s';
  let rest = whole;
  const parts: string[] = [];
  for (const [name, size] of units.slice(first, first + 2)) {
    const count = Math.floor(rest / size);
    rest -= count * size;
    if (count > 0) parts.push(`${count} ${name}`);
  }
  return parts.join(' ');
}
