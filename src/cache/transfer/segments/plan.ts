import type { Extent } from './extents.ts';

/** Bytes of the longest segment: what follows it in order is what clients wait for next. */
export const LONGEST_SEGMENT = 128 * 1024 * 1024;

/** What a segment still has to fetch. `end` is exclusive. */
export interface Claim {
  readonly position: number;
  readonly end: number;
}

/** A transfer, as the next segment of it is planned. */
export interface Situation {
  /** Bytes of the blob. */
  readonly size: number;
  /** The first byte that the front lacks. */
  readonly front: number;
  /** Sorted: what has come ahead of the front, and what segments have still to fetch. */
  readonly taken: readonly Extent[];
  /** Of these, what segments have still to fetch and may be cut in two. */
  readonly claims: readonly Claim[];
  /** Connections that are to be in use. */
  readonly connections: number;
  /** Bytes that a segment has at least. */
  readonly minSegment: number;
}

/**
 * The next segment: the first bytes behind the front that are taken by none, or, where all are taken, the second half of the longest
 * rest. In order, as clients wait for what is nearest to the front; undefined where too little is left.
 */
export function planSegment({ size, front, taken, claims, connections, minSegment }: Situation): Extent | undefined {
  const frontEnd = taken[0]?.start ?? size;
  const left = size - front;
  const length = Math.min(LONGEST_SEGMENT, Math.max(minSegment, Math.ceil(left / (4 * connections))));
  for (const [at, { end: start }] of taken.entries()) {
    const gapEnd = taken[at + 1]?.start ?? size;
    if (gapEnd > start) return { start, end: shortened({ start, end: gapEnd }, length, minSegment) };
  }
  // The front has all that is left, so far.
  if (taken.length === 0) {
    if (left < 2 * minSegment) return undefined;
    const start = front + length;
    return { start, end: shortened({ start, end: size }, length, minSegment) };
  }
  const rests: readonly Claim[] = [{ position: front, end: frontEnd }, ...claims];
  const longest = rests.reduce((one, other) => (lengthOf(other) > lengthOf(one) ? other : one));
  // A half of a rest may be shorter than a segment: at the end of a transfer all connections are to be in use.
  if (lengthOf(longest) < minSegment / 2) return undefined;
  return { start: longest.position + Math.ceil(lengthOf(longest) / 2), end: longest.end };
}

/** A remainder that is shorter than a segment belongs to it. */
function shortened({ start, end }: Extent, length: number, minSegment: number): number {
  return end - start < length + minSegment ? end : start + length;
}

function lengthOf({ position, end }: Claim): number {
  return end - position;
}
