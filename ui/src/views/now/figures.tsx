import { useSignal } from '@preact/signals';
import type { JSX } from 'preact';
import { useMemo } from 'preact/hooks';
import type { Answer } from '../../api.ts';
import { Fault } from '../../parts/feedback.tsx';
import { Note } from '../../parts/note.tsx';
import { Link } from '../../parts/page.tsx';
import { Progress } from '../../parts/progress.tsx';
import { ChartTable, Sparkline } from '../../parts/spark.tsx';
import { Tabs } from '../../parts/tabs.tsx';
import { useRead } from '../../resource.ts';
import { fillSteps } from '../../series.ts';
import { formats, words } from '../../words/index.ts';
import type { Sums } from './overview.ts';

type FigureRow = Answer<'figures'>['rows'][number];

const NONE: Sums = { pulls: 0, requests: 0, hits: 0, failed: 0, bytes: 0, fetched: 0, saved: 0 };
/** Milliseconds after which the sums are read again. */
export const SUMS_EVERY = 30_000;
const DAYS = 30;
const DAY = 86_400_000;

/** What the server did in the last day, or month. */
export function Figures({ day, month }: { readonly day: Sums; readonly month: Sums }): JSX.Element {
  const { now: w } = words.value;
  const period = useSignal<'day' | 'month'>('day');
  const step = period.value === 'day' ? 'hour' : 'day';
  // Once for each choice: a time that moves would be read again and again.
  const from = useMemo(() => Date.now() - (step === 'hour' ? 1 : DAYS) * DAY, [step]);
  const figures = useRead('figures', { from, step }, { every: SUMS_EVERY });
  const sums = period.value === 'day' ? day : month;
  const rows = useMemo(
    () => fillSteps(figures.data?.rows ?? [], { from, to: figures.data?.to ?? Date.now(), step, none: NONE }),
    [figures.data, from, step],
  );
  return (
    <section class="section card">
      <h2 class="hidden">{w.figures}</h2>
      <Tabs
        label={w.figures}
        tabs={[
          { name: 'day', title: w.day },
          { name: 'month', title: w.month },
        ]}
        chosen={period.value}
        choose={(name) => (period.value = name)}
      >
        {figures.data?.off === true && <Note text={words.value.pulls.offText} />}
        {figures.error !== undefined && <Fault error={figures.error} retry={figures.reload} />}
        <Tiles sums={sums} rows={rows} />
        <FigureTable rows={rows} step={step} />
        {figures.data !== undefined && <Top entries={figures.data.top} />}
      </Tabs>
    </section>
  );
}

function Tiles({ sums, rows }: { readonly sums: Sums; readonly rows: readonly FigureRow[] }): JSX.Element {
  const { now: w } = words.value;
  const { bytes, number, percent } = formats.value;
  const tiles: readonly (readonly [string, string, readonly number[], (value: number) => string, string?])[] = [
    [
      w.hitRatio,
      percent(sums.hits, sums.requests),
      // A step without a request has no ratio.
      rows.filter(({ requests }) => requests > 0).map(({ hits, requests }) => hits / requests),
      (value) => percent(value, 1),
      w.hitRatioText,
    ],
    [w.served, bytes(sums.bytes), rows.map((row) => row.bytes), bytes],
    [w.fetched, bytes(sums.fetched), rows.map((row) => row.fetched), bytes],
    [w.saved, bytes(sums.saved), rows.map((row) => row.saved), bytes],
    [w.pulls, number(sums.pulls), rows.map((row) => row.pulls), number],
    [w.failed, number(sums.failed), rows.map((row) => row.failed), number],
  ];
  return (
    <div class="tiles">
      {tiles.map(([title, value, values, scale, text]) => (
        <div key={title} class="tile" {...(text === undefined ? {} : { title: text })}>
          <p class="quiet">{title}</p>
          <p class="stat-value">{value}</p>
          <Sparkline
            series={[{ name: title, values }]}
            scale={scale}
            height={28}
            {...(title === w.hitRatio ? { top: 1 } : {})}
          />
        </div>
      ))}
    </div>
  );
}

function FigureTable({
  rows,
  step,
}: {
  readonly rows: readonly FigureRow[];
  readonly step: 'hour' | 'day';
}): JSX.Element {
  const { now: w } = words.value;
  const { bytes, number, percent, step: stepText } = formats.value;
  return (
    <ChartTable
      title={w.chartTable}
      heads={[w.at, w.pulls, w.requests, w.hitRatio, w.served, w.fetched, w.saved, w.failed]}
      rows={rows.map((row) => [
        stepText(row.at, step),
        number(row.pulls),
        number(row.requests),
        percent(row.hits, row.requests),
        bytes(row.bytes),
        bytes(row.fetched),
        bytes(row.saved),
        number(row.failed),
      ])}
    />
  );
}

const TOP = 6;

function Top({ entries }: { readonly entries: Answer<'figures'>['top'] }): JSX.Element | null {
  const { now: w } = words.value;
  const shown = entries.slice(0, TOP);
  const most = Math.max(1, ...shown.map((entry) => entry.bytes));
  if (shown.length === 0) return null;
  return (
    <>
      <h3>{w.top}</h3>
      <ul class="top">
        {shown.map(({ registry, repository, bytes }) => {
          const name = registry === '' ? w.others : `${registry}/${repository}`;
          return (
            <li key={name}>
              {registry === '' ? <span>{name}</span> : <Link to={`images/${name}`}>{name}</Link>}
              <Progress value={bytes} max={most} label={name} tone={registry === '' ? 'quiet' : 'accent'} />
              <span class="number">{formats.value.bytes(bytes)}</span>
            </li>
          );
        })}
      </ul>
    </>
  );
}
