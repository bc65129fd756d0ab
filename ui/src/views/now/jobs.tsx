import type { JSX } from 'preact';
import { useEffect } from 'preact/hooks';
import { type Answer, change, session } from '../../api.ts';
import { onLive } from '../../live.ts';
import { mergeJob } from '../../merge.ts';
import { toast } from '../../parts/feedback.tsx';
import { Link, Section } from '../../parts/page.tsx';
import { Progress } from '../../parts/progress.tsx';
import { Badge, Time } from '../../parts/values.tsx';
import { textOf } from '../../reason.ts';
import { useRead } from '../../resource.ts';
import { formats, words } from '../../words/index.ts';

type Kind = 'warm' | 'copy';
type Job = Answer<`${Kind}Jobs`>['jobs'][number];

/** Failed images of a job that are named. */
const SHOWN_FAILURES = 3;

/** The images that are being fetched into the cache, or copied. Nothing where there are none. */
export function JobsNow({ kind }: { readonly kind: Kind }): JSX.Element | null {
  const jobs = useRead<`${Kind}Jobs`>(`${kind}Jobs`, {});
  useEffect(
    () =>
      onLive(kind, (job: Job) =>
        // Both are of the kind.
        jobs.mend((known) => ({ jobs: mergeJob<Job>(known.jobs, job) }) as typeof known),
      ),
    [],
  );
  const all = jobs.data?.jobs ?? [];
  if (all.length === 0) return null;
  return (
    <Section title={words.value.now.jobs[kind]}>
      <ul class="flows">
        {all.map((job) => (
          <Row key={job.id} job={job} kind={kind} />
        ))}
      </ul>
    </Section>
  );
}

function Row({ job, kind }: { readonly job: Job; readonly kind: Kind }): JSX.Element {
  const { now: w, units } = words.value;
  const { bytes, number } = formats.value;
  const { images, endedAt, by, startedAt, counts } = job;
  const [first] = images;
  const failed = images.filter(({ state }) => state === 'failed');
  const running = images.find(({ state }) => state === 'running');
  const all = Object.values(counts).reduce((sum, count) => sum + count, 0);
  const stopped = counts.cancelled > 0;
  const name = running?.image ?? first?.image ?? '';
  return (
    <li class="flow">
      <div class="flow-head">
        <Link to={`images/${name}`} class="flow-name">
          {name}
        </Link>
        {endedAt !== undefined && counts.failed < all && (
          <Badge tone={stopped ? 'quiet' : 'good'} text={stopped ? w.warmCancelled : w.warmEnded} />
        )}
        {counts.failed > 0 && <Badge tone="bad" text={w.warmFailed(number(counts.failed))} />}
        {endedAt === undefined && session.value?.canChange === true && (
          <button type="button" class="link-button" onClick={() => void cancel(kind, job.id)}>
            {w.warmCancel}
          </button>
        )}
      </div>
      <Progress
        value={job.bytes}
        max={job.size || (endedAt === undefined ? undefined : 1)}
        label={name}
        tone={endedAt === undefined ? 'accent' : 'quiet'}
      />
      {failed.slice(0, SHOWN_FAILURES).map(({ image, error }) => (
        <p key={image} class="bad">
          {image}: {error}
        </p>
      ))}
      <p class="flow-facts">
        <span>{w.warmImages(number(counts.done), number(all))}</span>
        <span>{units.of(bytes(job.bytes), bytes(job.size))}</span>
        <span>{w.by(by)}</span>
        <Time at={startedAt} />
      </p>
    </li>
  );
}

async function cancel(kind: Kind, id: string): Promise<void> {
  try {
    await change(`${kind}Cancel`, { id });
  } catch (error) {
    toast(textOf(error), 'bad');
  }
}
