export interface Box {
  readonly width: number;
  readonly height: number;
  /** The value at the upper edge. */
  readonly top: number;
}

/** Pixels that stay free above and below, so that the stroke is not cut. */
const EDGE = 2;

/** The path of a line through the values, from the left edge to the right; empty where there is no value. */
export function linePath(values: readonly number[], box: Box): string {
  return pointsOf(values, box)
    .map(([x, y], at) => `${at === 0 ? 'M' : 'L'}${round(x)} ${round(y)}`)
    .join('');
}

/** The same, closed along the lower edge. */
export function areaPath(values: readonly number[], box: Box): string {
  const line = linePath(values, box);
  return line === '' ? '' : `${line}L${box.width} ${box.height}L0 ${box.height}Z`;
}

function pointsOf(values: readonly number[], { width, height, top }: Box): readonly (readonly [number, number])[] {
  // One value is a level line.
  const all = values.length === 1 ? [values[0] ?? 0, values[0] ?? 0] : values;
  const step = width / Math.max(1, all.length - 1);
  return all.map((value, at) => [at * step, EDGE + (1 - Math.min(1, value / top)) * (height - 2 * EDGE)]);
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}
