import type { JSX } from 'preact';
import { useEffect } from 'preact/hooks';
import { serverTime, setServerTime } from '../clock.ts';
import { onLive } from '../live.ts';
import { addRate, mergePull, mergeTransfer } from '../merge.ts';
import { Empty, Loaded } from '../parts/feedback.tsx';
import { Icon } from '../parts/icons.tsx';
import { Heading, Link, Prose, Section } from '../parts/page.tsx';
import { PullBox } from '../parts/pull-box.tsx';
import { type Resource, useRead } from '../resource.ts';
import { formats, words } from '../words/index.ts';
import { Figures, SUMS_EVERY } from './now/figures.tsx';
import { JobsNow } from './now/jobs.tsx';
import type { Overview } from './now/overview.ts';
import { RatesNow } from './now/rates.tsx';
import { SchedulesCard } from './now/schedules.tsx';
import { CacheCard, UpstreamsCard } from './now/state.tsx';
import { PullsNow, TransfersNow } from './now/under-way.tsx';

/** Milliseconds for which a pull that has ended stays in sight. */
const LINGER = 4000;

/** What the server does now, and what it did in the last day and month. */
export function Now(): JSX.Element {
  const overview = useRead('overview', {}, { on: ['health', 'evicted', 'cache', 'reloaded'], every: SUMS_EVERY });
  useLiveOverview(overview);
  const { now: w } = words.value;
  const known = overview.data;
  return (
    <>
      <Heading title={words.value.nav.now}>
        {known !== undefined && (
          <p class="quiet">
            {w.version(known.version)} · {w.startedAt(formats.value.relative(known.startedAt, serverTime()))}
          </p>
        )}
      </Heading>
      <Loaded of={overview} lines={10}>
        {(data) => <Overall data={data} />}
      </Loaded>
    </>
  );
}

function Overall({ data }: { readonly data: Overview }): JSX.Element {
  const { now: w } = words.value;
  const { warnings, cache, pulls, month } = data;
  const isFirst = pulls.length === 0 && month.requests === 0;
  return (
    <>
      {warnings > 0 && (
        <p class="note note-warn">
          <Icon name="warning" />
          <Link to="configuration/problems">{w.warnings(warnings, formats.value.number(warnings))}</Link>
        </p>
      )}
      {cache !== 'off' && cache.paused !== undefined && (
        <div class="note note-warn">
          <Icon name="warning" />
          <div>
            <p class="note-title">{w.pausedTitle}</p>
            <p>
              <Prose text={cache.paused} />
            </p>
          </div>
        </div>
      )}
      {!isFirst && <RatesNow data={data} />}
      <div class="columns">
        <div>
          {isFirst ? (
            <Section title={w.underWay}>
              <Empty title={w.firstTitle} icon="pulls">
                <p>{w.firstText}</p>
                <PullBox image="docker.io/library/alpine" />
              </Empty>
            </Section>
          ) : (
            <PullsNow data={data} />
          )}
          {(data.transfers.length > 0 || !isFirst) && <TransfersNow data={data} />}
          <JobsNow kind="warm" />
          <JobsNow kind="copy" />
          {!isFirst && <Figures day={data.day} month={data.month} />}
        </div>
        <div>
          <CacheCard data={data} />
          <SchedulesCard />
          <UpstreamsCard data={data} />
        </div>
      </div>
    </>
  );
}

/** Keeps the overview as the live messages say. */
function useLiveOverview(overview: Resource<Overview>): void {
  const { data, mend } = overview;
  const at = data?.now;
  useEffect(() => {
    if (at !== undefined) setServerTime(at);
  }, [at]);
  useEffect(() => {
    const timers = new Set<ReturnType<typeof setTimeout>>();
    const remove = (id: string): void =>
      mend((known) => {
        const pulls = known.pulls.filter((pull) => pull.id !== id || pull.running === true);
        const gone = known.pulls.length - pulls.length;
        return { ...known, pulls, pullCount: Math.max(pulls.length, known.pullCount - gone) };
      });
    const ends = [
      onLive('pull', (pull) => {
        mend((known) => {
          const pulls = mergePull(known.pulls, pull);
          return { ...known, pulls, pullCount: known.pullCount + Math.max(0, pulls.length - known.pulls.length) };
        });
        if (pull.running !== true) timers.add(setTimeout(() => remove(pull.id), LINGER));
      }),
      onLive('transfer', (transfer) =>
        mend((known) => {
          const transfers = mergeTransfer(known.transfers, transfer);
          const more = Math.max(0, transfers.length - known.transfers.length);
          return { ...known, transfers, transferCount: known.transferCount + more };
        }),
      ),
      onLive('transfer.ended', ({ id }) =>
        mend((known) => {
          const transfers = known.transfers.filter((each) => each.id !== id);
          const gone = known.transfers.length - transfers.length;
          return { ...known, transfers, transferCount: Math.max(transfers.length, known.transferCount - gone) };
        }),
      ),
      onLive('rates', (rate) => mend((known) => ({ ...known, rates: addRate(known.rates, rate) }))),
    ];
    return () => {
      for (const end of ends) end();
      for (const timer of timers) clearTimeout(timer);
    };
  }, []);
}
