/** A measurement: what was done so far, and what is kept then. */
export interface Point {
  readonly at: number;
  readonly value: number;
}

/**
 * By how much `value` grows for each of `at`: the median of the slopes of all pairs of points (Theil and Sen). One point far off, such
 * as a sample in the middle of a burst, does not change it.
 *
 * @returns NaN for fewer than two points
 */
export function slopeOf(points: readonly Point[]): number {
  const slopes = points
    .flatMap((first, index) => points.slice(index + 1).map((second) => slopeBetween(first, second)))
    .toSorted((a, b) => a - b);
  const upper = Math.floor(slopes.length / 2);
  const lower = Math.floor((slopes.length - 1) / 2);
  return ((slopes[lower] ?? Number.NaN) + (slopes[upper] ?? Number.NaN)) / 2;
}

function slopeBetween(first: Point, second: Point): number {
  return (second.value - first.value) / (second.at - first.at);
}
