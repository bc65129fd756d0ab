import { useSignal, useSignalEffect } from '@preact/signals';
import type { JSX } from 'preact';
import { useEffect, useRef } from 'preact/hooks';
import type { Answer } from '../api.ts';
import { imageName } from '../format.ts';
import { onLive, ticks } from '../live.ts';
import { Button } from '../parts/button.tsx';
import { Empty } from '../parts/feedback.tsx';
import { AS_TYPED, Field, SearchField, SelectField } from '../parts/field.tsx';
import { Note } from '../parts/note.tsx';
import { Heading } from '../parts/page.tsx';
import { PullBox } from '../parts/pull-box.tsx';
import { PagedTable } from '../parts/table.tsx';
import { Bytes, Duration, Time } from '../parts/values.tsx';
import { matches } from '../pull-filter.ts';
import { usePages } from '../resource.ts';
import { href, navigate, place, setQuery } from '../router.ts';
import { formats, words } from '../words/index.ts';
import { Outcome } from './outcome.tsx';
import { OnePull } from './pulls/one-pull.tsx';
import type { ViewProps } from './view.ts';

type Pull = Answer<'pulls'>['pulls'][number];
type Lacks = Pick<Answer<'pulls'>, 'off' | 'omitted'>;

const OUTCOMES = ['failed', 'refused', 'stale', 'miss', 'hit'] as const;
/** Entries of one page: two screens of a large display. */
const PAGE = 100;
/** Entries after which the list begins again at its first page, while its reader looks at the newest. */
const MOST_AT_TOP = 3 * PAGE;
/** Pixels from the top within which its reader looks at the newest. */
const AT_TOP = 200;

/** The recent pulls, or one of them: `/ui/pulls/<request id>`. */
export function Pulls({ rest }: ViewProps): JSX.Element {
  return rest === '' ? <Recent /> : <OnePull key={rest} id={rest} />;
}

function Recent(): JSX.Element {
  const { pulls: w } = words.value;
  const { image, client } = place.value.query;
  const outcome = OUTCOMES.find((each) => each === place.value.query['outcome']);
  const filter = { image, client, outcome };
  const lacks = useSignal<Lacks>({});
  const pages = usePages('pulls', { ...filter, limit: PAGE }, ({ pulls, off, omitted }) => {
    lacks.value = { ...(off && { off }), ...(omitted && { omitted }) };
    return pulls;
  });
  const waiting = useLivePulls(pages, filter);
  const isFiltered = image !== undefined || client !== undefined || outcome !== undefined;
  return (
    <>
      <Heading title={words.value.nav.pulls} />
      <div class="toolbar">
        <SearchField
          label={w.image}
          value={image ?? ''}
          change={(value) => setQuery({ image: value.replace(`${location.host}/`, '') })}
        />
        <SearchField label={w.client} value={client ?? ''} change={(value) => setQuery({ client: value })} />
        <SelectField
          label={w.outcome}
          value={outcome ?? ''}
          options={[['', w.any] as const, ...OUTCOMES.map((each) => [each, words.value.outcome[each]] as const)]}
          change={(value) => setQuery({ outcome: value })}
        />
        <FindRequest />
      </div>
      <Lacking lacks={lacks.value} />
      <section class="section card" aria-label={w.recent}>
        {waiting.count > 0 && (
          <Button look="button newer" act={waiting.show}>
            {w.newer(waiting.count, formats.value.number(waiting.count))}
          </Button>
        )}
        <PagedTable
          label={w.recent}
          pages={pages}
          keyOf={({ id }) => id}
          hrefOf={({ id }) => href(`pulls/${id}`)}
          columns={[
            {
              key: 'image',
              title: w.image,
              width: '3fr',
              cell: (pull) => (
                <>
                  <span title={imageName(pull)}>{imageName(pull)}</span>
                  <span class="cell-more">
                    <Outcome pull={pull} /> <Bytes value={pull.bytes} /> · <Duration ms={pull.durationMs} /> ·{' '}
                    <Time at={pull.at} />
                  </span>
                </>
              ),
            },
            {
              key: 'outcome',
              title: w.outcome,
              width: '8.8rem',
              narrow: false,
              cell: (pull) => <Outcome pull={pull} />,
            },
            {
              key: 'client',
              title: w.client,
              width: '1.6fr',
              narrow: false,
              cell: (pull) => <span title={pull.userAgent ?? ''}>{clientOf(pull)}</span>,
            },
            {
              key: 'size',
              title: w.size,
              width: '5rem',
              align: 'end',
              narrow: false,
              cell: ({ bytes }) => <Bytes value={bytes} />,
            },
            {
              key: 'took',
              title: w.took,
              width: '5rem',
              align: 'end',
              narrow: false,
              cell: ({ durationMs }) => <Duration ms={durationMs} />,
            },
            {
              key: 'when',
              title: w.when,
              width: '8.5rem',
              align: 'end',
              narrow: false,
              cell: ({ at }) => <Time at={at} />,
            },
          ]}
          empty={
            lacks.value.off ? (
              <Empty title={w.off} icon="pulls" />
            ) : isFiltered ? (
              <Empty title={w.none} icon="search" />
            ) : (
              <NoneYet />
            )
          }
        />
      </section>
    </>
  );
}

/** What the list does not show. */
function Lacking({ lacks: { off, omitted } }: { readonly lacks: Lacks }): JSX.Element | null {
  const { pulls: w } = words.value;
  const { number, time } = formats.value;
  if (off === true) return <Note text={w.offText} />;
  if (omitted === undefined) return null;
  const { pulls, from, to } = omitted;
  return <Note text={w.unlisted(pulls, number(pulls), time(from), time(to))} />;
}

function NoneYet(): JSX.Element {
  return (
    <Empty title={words.value.now.firstTitle} icon="pulls">
      <p>{words.value.pulls.noneYet}</p>
      <PullBox image="docker.io/library/alpine" />
    </Empty>
  );
}

function clientOf({ user, client }: Pull): string {
  return [user, client].filter((each) => each !== undefined && each !== '').join(' · ');
}

function FindRequest(): JSX.Element {
  const { pulls: w } = words.value;
  const input = useRef<HTMLInputElement>(null);
  const onSubmit = (event: SubmitEvent): void => {
    event.preventDefault();
    const id = input.current?.value.trim() ?? '';
    if (id !== '') navigate(`pulls/${id}`);
  };
  return (
    <form class="find" onSubmit={onSubmit} role="search" aria-label={w.find}>
      <Field label={w.findLabel}>{(ids) => <input {...ids} {...AS_TYPED} ref={input} required />}</Field>
      <Button>{w.findButton}</Button>
    </form>
  );
}

/** Keeps the list as the live messages say. New pulls wait behind a button while its reader looks further down. */
function useLivePulls(
  pages: ReturnType<typeof usePages<'pulls', Pull>>,
  filter: Parameters<typeof matches>[1],
): { readonly count: number; readonly show: () => void } {
  const waiting = useSignal<readonly Pull[]>([]);
  const latest = useRef({ pages, filter });
  latest.current = { pages, filter };
  const show = (): void => {
    const fresh = waiting.peek();
    waiting.value = [];
    pages.mend((entries) => [...fresh, ...entries]);
    scrollTo(0, 0);
  };
  useEffect(
    () =>
      onLive('pull', (pull) => {
        const { pages: now, filter: wanted } = latest.current;
        const isListed = now.entries.some(({ id }) => id === pull.id);
        if (isListed) {
          now.mend((entries) => entries.map((each) => (each.id === pull.id ? pull : each)));
        } else if (waiting.peek().some(({ id }) => id === pull.id)) {
          waiting.value = waiting.peek().map((each) => (each.id === pull.id ? pull : each));
        } else if (matches(pull, wanted)) {
          if (scrollY >= AT_TOP) waiting.value = [pull, ...waiting.peek()].slice(0, PAGE);
          // A list whose reader does not scroll has as many entries as the page that was read, and not all that came since.
          else if (now.entries.length >= MOST_AT_TOP) now.reload();
          else now.mend((entries) => [pull, ...entries]);
        }
      }),
    [],
  );
  useEffect(() => {
    waiting.value = [];
  }, [JSON.stringify(filter)]);
  const seen = useRef(ticks.peek());
  useSignalEffect(() => {
    if (ticks.value === seen.current) return;
    seen.current = ticks.value;
    if (scrollY < AT_TOP) latest.current.pages.reload();
  });
  return { count: waiting.value.length, show };
}
