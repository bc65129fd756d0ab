/** The middle of some samples; of an even number, the mean of the two in the middle. @throws {RangeError} without any */
export function median(samples: readonly number[]): number {
  const sorted = samples.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  const [below, at] = [sorted[middle - 1], sorted[middle]];
  if (at === undefined) throw new RangeError('Cannot find the median of no samples');
  return sorted.length % 2 === 1 || below === undefined ? at : (below + at) / 2;
}

/** Half the distance between the least and the greatest sample, as a part of the median: 0.05 is "± 5 %". */
export function spread(samples: readonly number[]): number {
  const middle = median(samples);
  return middle === 0 ? 0 : (Math.max(...samples) - Math.min(...samples)) / 2 / middle;
}

/** The sample below which this part of the others lie: 0.99 is the p99, by the nearest rank. @throws {RangeError} without any */
export function percentile(samples: readonly number[], part: number): number {
  const sorted = samples.toSorted((a, b) => a - b);
  const at = sorted[Math.max(0, Math.ceil(part * sorted.length) - 1)];
  if (at === undefined) throw new RangeError('Cannot find a percentile of no samples');
  return at;
}
