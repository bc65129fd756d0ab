import type { JSX } from 'preact';
import { areaPath, linePath } from '../curve.ts';

export interface Series {
  readonly name: string;
  readonly values: readonly number[];
  /** @default accent */
  readonly tone?: 'accent' | 'second';
}

const WIDTH = 300;

/** A small chart without axes. A table beside it says the same: see `ChartTable`. */
export function Sparkline({
  series,
  height = 48,
  top: least = 1e-9,
}: {
  readonly series: readonly Series[];
  readonly height?: number;
  /** The value at the upper edge, at least. @default that of the largest value */
  readonly top?: number;
}): JSX.Element {
  const top = Math.max(least, ...series.flatMap(({ values }) => values));
  return (
    <svg
      class="spark"
      viewBox={`0 0 ${WIDTH} ${height}`}
      preserveAspectRatio="none"
      height={height}
      aria-hidden="true"
      focusable="false"
    >
      {series.map(({ name, values, tone = 'accent' }) => (
        <g key={name} class={`spark-${tone}`}>
          <path class="spark-area" d={areaPath(values, { width: WIDTH, height, top })} />
          <path class="spark-line" d={linePath(values, { width: WIDTH, height, top })} />
        </g>
      ))}
    </svg>
  );
}

/** The numbers of a chart, for who does not see it. */
export function ChartTable({
  title,
  heads,
  rows,
}: {
  readonly title: string;
  readonly heads: readonly string[];
  /** The first cell of each is its heading. */
  readonly rows: readonly (readonly string[])[];
}): JSX.Element {
  return (
    <details class="chart-table">
      <summary>{title}</summary>
      <div class="scroll" tabIndex={0} role="group" aria-label={title}>
        <table>
          <thead>
            <tr>
              {heads.map((head) => (
                <th key={head} scope="col">
                  {head}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {rows.map(([first, ...cells], at) => (
              <tr key={at}>
                <th scope="row">{first}</th>
                {cells.map((cell, column) => (
                  <td key={column}>{cell}</td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </details>
  );
}
