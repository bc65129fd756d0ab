import type { Extent } from '../segments/index.ts';

/** The digest of a blob's first bytes, of which a part is enough to find what rots: the digest of the whole is checked in the end. */
export interface Checkpoint {
  /** The first byte behind those. */
  readonly position: number;
  /** {@link HASH_LENGTH} hexadecimal characters. */
  readonly hash: string;
}

/** What is written down of a blob that has come in part. */
export interface PartialNote {
  /** Bytes of the whole blob. */
  readonly size: number;
  /** What has come, in order; two neither overlap nor touch. */
  readonly extents: readonly Extent[];
  /** In order. */
  readonly checkpoints: readonly Checkpoint[];
}

/** Characters of the hash of a checkpoint. */
export const HASH_LENGTH = 32;

/** Spans that a note holds; of more, the largest. A note so stays below 40 KB. */
export const MOST_NOTED = 1024;

/** Checkpoints that a note may have; of more, every other is left out. */
const MOST_CHECKPOINTS = 128;

const HASH = /^[0-9a-f]{32}$/;

export function formatPartialNote({ size, extents, checkpoints }: PartialNote): string {
  const noted =
    extents.length <= MOST_NOTED
      ? extents
      : extents
          .toSorted((one, other) => other.end - other.start - (one.end - one.start))
          .slice(0, MOST_NOTED)
          .sort((one, other) => one.start - other.start);
  let points = checkpoints;
  while (points.length > MOST_CHECKPOINTS) points = points.filter((_, at) => at % 2 === 1);
  return JSON.stringify({
    size,
    extents: noted.map(({ start, end }) => [start, end]),
    checkpoints: points.map(({ position, hash }) => [position, hash]),
  });
}

/** Reads a note; undefined for any text that {@link formatPartialNote} does not write. */
export function parsePartialNote(text: string): PartialNote | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (typeof value !== 'object' || value === null) return undefined;
  const { size, extents, checkpoints } = value as Record<string, unknown>;
  if (!isCount(size) || !Array.isArray(extents) || !Array.isArray(checkpoints)) return undefined;
  if (extents.length > MOST_NOTED || checkpoints.length > MOST_CHECKPOINTS) return undefined;
  const spans: Extent[] = [];
  let last = -1;
  for (const each of extents as readonly unknown[]) {
    if (!Array.isArray(each) || each.length !== 2) return undefined;
    const [start, end] = each as readonly unknown[];
    if (!isCount(start) || !isCount(end) || start <= last || end <= start || end > size) return undefined;
    spans.push({ start, end });
    last = end;
  }
  const prefix = spans[0]?.start === 0 ? spans[0].end : 0;
  const points: Checkpoint[] = [];
  let before = 0;
  for (const each of checkpoints as readonly unknown[]) {
    if (!Array.isArray(each) || each.length !== 2) return undefined;
    const [position, hash] = each as readonly unknown[];
    if (!isCount(position) || position <= before || position > prefix) return undefined;
    if (typeof hash !== 'string' || !HASH.test(hash)) return undefined;
    points.push({ position, hash });
    before = position;
  }
  return { size, extents: spans, checkpoints: points };
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}
