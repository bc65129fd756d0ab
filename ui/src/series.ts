const SIZES = { hour: 3_600_000, day: 86_400_000 } as const;

/**
 * The rows of a time, one for each step of it, the oldest first: a step in which nothing happened is not in an answer.
 *
 * @param from,to milliseconds since 1970
 */
export function fillSteps<Row extends { readonly at: number }>(
  rows: readonly Row[],
  {
    from,
    to,
    step,
    none,
  }: { readonly from: number; readonly to: number; readonly step: 'hour' | 'day'; readonly none: Omit<Row, 'at'> },
): readonly Row[] {
  const size = SIZES[step];
  const byStep = new Map(rows.map((row) => [Math.floor(row.at / size), row]));
  const first = Math.floor(from / size);
  const last = Math.floor(Math.max(from, to - 1) / size);
  return Array.from({ length: last - first + 1 }, (_, at) => {
    const number = first + at;
    return byStep.get(number) ?? ({ ...none, at: number * size } as unknown as Row);
  });
}
