import type { JSX } from 'preact';
import { ChartTable, Sparkline } from '../../parts/spark.tsx';
import { formats, words } from '../../words/index.ts';
import type { Overview } from './overview.ts';

/** The last five minutes: how much is asked, and how much flows. */
export function RatesNow({ data: { rates, requests } }: { readonly data: Overview }): JSX.Element {
  const { now: w } = words.value;
  const { number, rate, clock, percent } = formats.value;
  const last = rates.at(-1);
  const perSecond = (value: number): string => number(Math.round(value * 10) / 10);
  return (
    <div class="grid">
      <section class="card stat">
        <h2>{w.requestsPerSecond}</h2>
        <p class="stat-value">
          {perSecond(last?.requests ?? 0)}
          <span class="stat-more">
            {w.hitRatio} {percent(last?.hits ?? 0, last?.requests ?? 0)}
          </span>
        </p>
        <Sparkline
          series={[
            { name: 'requests', values: rates.map((each) => each.requests) },
            { name: 'hits', values: rates.map((each) => each.hits), tone: 'second' },
          ]}
        />
        <p class="legend">
          <span class="key key-accent">{w.requests}</span>
          <span class="key key-second">{w.hits}</span>
          <span>{w.fiveMinutes}</span>
        </p>
        <ChartTable
          title={w.chartTable}
          heads={[w.at, w.requests, w.hits]}
          rows={rates.map((each) => [clock(each.at), perSecond(each.requests), perSecond(each.hits)])}
        />
      </section>
      <section class="card stat">
        <h2>{w.throughput}</h2>
        <p class="stat-value">
          {rate(last?.bytes ?? 0)}
          <span class="stat-more">
            {w.fetchedRate} {rate(last?.fetched ?? 0)}
          </span>
        </p>
        <Sparkline
          series={[
            { name: 'bytes', values: rates.map((each) => each.bytes) },
            { name: 'fetched', values: rates.map((each) => each.fetched), tone: 'second' },
          ]}
        />
        <p class="legend">
          <span class="key key-accent">{w.throughput}</span>
          <span class="key key-second">{w.fetchedRate}</span>
          <span>
            {w.inflight} {number(requests.inflight)}
            {requests.waiting > 0 && `, ${w.waiting(number(requests.waiting))}`}
          </span>
        </p>
        <ChartTable
          title={w.chartTable}
          heads={[w.at, w.throughput, w.fetchedRate]}
          rows={rates.map((each) => [clock(each.at), rate(each.bytes), rate(each.fetched)])}
        />
      </section>
    </div>
  );
}
