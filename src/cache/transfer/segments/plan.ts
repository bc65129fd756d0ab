import type { Extent } from './extents.ts';

/** Bytes of the longest segment: what follows it in order is what clients wait for next. */
export const LONGEST_SEGMENT = 128 * 1024 * 1024;

/** Seconds that a rest still takes, from which on it is divided although its parts are short: other connections have nothing to do. */
const LONG_REST_S = 0.5;

/** Bytes that the new part of such a rest has at least: what is under way on the connection that loses it is fetched twice. */
const LEAST_PART = 256 * 1024;

/** What a segment still has to fetch. `end` is exclusive. */
export interface Claim {
  readonly position: number;
  readonly end: number;
  /** Bytes a second of its connection; undefined where it is not known. */
  readonly rate?: number | undefined;
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
  /** Bytes a second of the front's connection, and of the one that is planned for; undefined where they are not known. */
  readonly frontRate?: number | undefined;
  readonly rate?: number | undefined;
}

/**
 * The next segment: the first bytes behind the front that are taken by none, or, where all are taken, a part of the rest that would take
 * longest, so that both end at the same time. In order, as clients wait for what is nearest to the front; undefined where too little is left.
 */
export function planSegment(situation: Situation): Extent | undefined {
  const { size, front, taken, claims, connections, minSegment, frontRate } = situation;
  const frontEnd = taken[0]?.start ?? size;
  const left = size - front;
  const length = Math.min(LONGEST_SEGMENT, Math.max(minSegment, Math.ceil(left / (4 * connections))));
  for (const [at, { end: start }] of taken.entries()) {
    const gapEnd = taken[at + 1]?.start ?? size;
    if (gapEnd > start) return { start, end: shortened({ start, end: gapEnd }, length, minSegment) };
  }
  // The front has all that is left, so far.
  if (taken.length === 0) {
    const rest = { position: front, end: size, rate: frontRate };
    if (left < 2 * minSegment) return frontRate === undefined ? undefined : divided([rest], situation);
    const start = front + length;
    return { start, end: shortened({ start, end: size }, length, minSegment) };
  }
  return divided([{ position: front, end: frontEnd, rate: frontRate }, ...claims], situation);
}

/** A part of one of the rests. Where rates are not known, all connections count as equally fast. */
function divided(rests: readonly Claim[], { minSegment, rate }: Situation): Extent | undefined {
  const isMeasured = rate !== undefined && rate > 0 && rests.every((each) => each.rate !== undefined);
  const rateOf = (claim: Claim): number => (isMeasured ? Math.max(1, claim.rate ?? 1) : 1);
  const timeOf = (claim: Claim): number => lengthOf(claim) / rateOf(claim);
  const longest = rests.reduce((one, other) => (timeOf(other) > timeOf(one) ? other : one));
  const own = rateOf(longest);
  const share = own / (own + (isMeasured ? rate : 1));
  const start = longest.position + Math.ceil(lengthOf(longest) * share);
  // A part of a rest may be shorter than a segment: at the end of a transfer all connections are to be in use.
  const isLong = lengthOf(longest) >= minSegment / 2 || (isMeasured && timeOf(longest) >= LONG_REST_S);
  if (!isLong || longest.end - start < Math.min(LEAST_PART, minSegment / 4)) return undefined;
  return { start, end: longest.end };
}

/** A remainder that is shorter than a segment belongs to it. */
function shortened({ start, end }: Extent, length: number, minSegment: number): number {
  return end - start < length + minSegment ? end : start + length;
}

function lengthOf({ position, end }: Claim): number {
  return end - position;
}
