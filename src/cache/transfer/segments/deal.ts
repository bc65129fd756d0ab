/** How many times slower than the best a connection is that is given up. */
export const MUCH_SLOWER = 4;

/** A connection with this share of the best rate is as good as the best: rates are measured over a second, and vary. */
const AS_GOOD = 0.6;

/** Measurements of an upstream before it is judged: a connection begins slowly. */
export const LEAST_STEPS = 2;

/** An upstream of a transfer, as connections are dealt to it. */
export interface Candidate {
  readonly upstream: string;
  /** Connections of the transfer to it, the front's among them. */
  readonly connections: number;
  /** Connections of the transfer that it may have at most; 0: it gets none besides the front. */
  readonly most: number;
  /** Bytes a second of one connection; undefined before it was measured. */
  readonly rate: number | undefined;
  /** Measurements that the rate is made of. */
  readonly steps: number;
}

/**
 * The upstream that gets the next connection; undefined where none may have one more.
 *
 * One that was not measured yet is tried, with one connection. Then the one whose connections are fastest; of those that are about as
 * fast, the one with the fewest, and of these the first. So a line that is shared by all connections to an upstream is not asked for more
 * than it has: each connection that is added to it makes the others slower.
 */
export function dealTo(candidates: readonly Candidate[]): string | undefined {
  const open = candidates.filter(({ connections, most }) => connections < most);
  const untried = open.find(({ connections, rate }) => rate === undefined && connections === 0);
  if (untried !== undefined) return untried.upstream;
  const tried = open.filter(({ rate }) => rate !== undefined);
  const best = Math.max(...tried.map(rateOf));
  const good = tried.filter((each) => rateOf(each) >= best * AS_GOOD);
  return fewest(good)?.upstream;
}

/**
 * Of upstreams with connections to spare, the one that loses one: that with the most, as these share its line; of those the slowest, and
 * of these the last.
 */
export function takeFrom(candidates: readonly Candidate[]): string | undefined {
  const most = Math.max(...candidates.map(({ connections }) => connections));
  const many = candidates.filter(({ connections }) => connections === most);
  const worst = Math.min(...many.map(rateOf));
  return many.findLast((each) => rateOf(each) === worst)?.upstream;
}

/** The upstreams whose connections are much slower than those of the best. */
export function tooSlow(candidates: readonly Candidate[]): readonly string[] {
  const judged = candidates.filter(({ connections, steps }) => connections > 0 && steps >= LEAST_STEPS);
  const best = Math.max(...judged.map(rateOf));
  return judged.filter((each) => rateOf(each) * MUCH_SLOWER < best).map(({ upstream }) => upstream);
}

function rateOf({ rate = 0 }: Candidate): number {
  return rate;
}

function fewest(candidates: readonly Candidate[]): Candidate | undefined {
  return candidates.reduce<Candidate | undefined>(
    (best, each) => (best === undefined || each.connections < best.connections ? each : best),
    undefined,
  );
}
