import type { JSX } from 'preact';
import { useEffect } from 'preact/hooks';
import { type Answer, change, session } from '../../api.ts';
import { onLive } from '../../live.ts';
import { mergeWarm } from '../../merge.ts';
import { toast } from '../../parts/feedback.tsx';
import { Link, Section } from '../../parts/page.tsx';
import { Progress } from '../../parts/progress.tsx';
import { Badge, Time } from '../../parts/values.tsx';
import { useRead } from '../../resource.ts';
import { formats, words } from '../../words/index.ts';

type WarmJob = Answer<'warmJobs'>['jobs'][number];

/** The images that are being fetched into the cache. Nothing where there are none. */
export function WarmNow(): JSX.Element | null {
  const jobs = useRead('warmJobs', {});
  useEffect(() => onLive('warm', (job) => jobs.mend((known) => ({ jobs: mergeWarm(known.jobs, job) }))), []);
  const all = jobs.data?.jobs ?? [];
  if (all.length === 0) return null;
  return (
    <Section title={words.value.now.warm}>
      <ul class="flows">
        {all.map((job) => (
          <Job key={job.id} job={job} />
        ))}
      </ul>
    </Section>
  );
}

function Job({ job }: { readonly job: WarmJob }): JSX.Element {
  const { now: w, units } = words.value;
  const { bytes, number } = formats.value;
  const { images, endedAt, by, startedAt } = job;
  const [first] = images;
  const done = images.filter(({ state }) => state === 'done').length;
  const failed = images.filter(({ state }) => state === 'failed');
  const running = images.find(({ state }) => state === 'running');
  const stopped = images.some(({ state }) => state === 'cancelled');
  const sum = (of: (image: (typeof images)[number]) => number): number =>
    images.reduce((total, each) => total + of(each), 0);
  const name = running?.image ?? first?.image ?? '';
  return (
    <li class="flow">
      <div class="flow-head">
        <Link to={`images/${name}`} class="flow-name">
          {name}
        </Link>
        {endedAt !== undefined && (
          <Badge tone={stopped ? 'quiet' : 'good'} text={stopped ? w.warmCancelled : w.warmEnded} />
        )}
        {failed.length > 0 && (
          <Badge
            tone="bad"
            text={w.warmFailed(number(failed.length))}
            title={failed.map((each) => each.error ?? each.image).join('; ')}
          />
        )}
        {endedAt === undefined && session.value?.canChange === true && (
          <button type="button" class="link-button" onClick={() => void cancel(job.id)}>
            {w.warmCancel}
          </button>
        )}
      </div>
      <Progress
        value={sum((each) => each.bytes)}
        max={endedAt === undefined ? sum((each) => each.size) || undefined : 1}
        label={name}
        tone={endedAt === undefined ? 'accent' : 'quiet'}
      />
      <p class="flow-facts">
        <span>{w.warmImages(number(done), number(images.length))}</span>
        <span>{units.of(bytes(sum((each) => each.bytes)), bytes(sum((each) => each.size)))}</span>
        <span>{w.by(by)}</span>
        <Time at={startedAt} />
      </p>
    </li>
  );
}

async function cancel(id: string): Promise<void> {
  try {
    await change('warmCancel', { id });
  } catch (error) {
    toast(error instanceof Error ? error.message : String(error), 'bad');
  }
}
