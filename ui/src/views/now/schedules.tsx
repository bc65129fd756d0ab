import { useSignal } from '@preact/signals';
import type { JSX } from 'preact';
import { type Answer, change } from '../../api.ts';
import { serverTime } from '../../clock.ts';
import { Fault, toast } from '../../parts/feedback.tsx';
import { mayChange } from '../../parts/may-change.tsx';
import { Section } from '../../parts/page.tsx';
import { Badge, type Tone } from '../../parts/values.tsx';
import { textOf } from '../../reason.ts';
import { useRead } from '../../resource.ts';
import { formats, words } from '../../words/index.ts';

type Schedule = Answer<'schedules'>['schedules'][number];

/** Milliseconds after which the next and the last runs are read again. */
const EVERY = 30_000;

const TONES: Readonly<Record<NonNullable<Schedule['last']>['outcome'], Tone>> = {
  done: 'good',
  failed: 'bad',
  stopped: 'quiet',
  interrupted: 'warn',
};

/** What is fetched into the cache, or copied, by schedules. Nothing where there are none. */
export function SchedulesCard(): JSX.Element | null {
  const { data, error, reload } = useRead('schedules', {}, { on: ['warm', 'copy', 'reloaded'], every: EVERY });
  const all = data?.schedules ?? [];
  if (error === undefined && all.length === 0) return null;
  return (
    <Section title={words.value.now.schedules}>
      {error !== undefined && <Fault error={error} retry={reload} />}
      <ul class="flows">
        {all.map((schedule) => (
          <Row key={schedule.name} schedule={schedule} reload={reload} />
        ))}
      </ul>
    </Section>
  );
}

function Row({ schedule, reload }: { readonly schedule: Schedule; readonly reload: () => void }): JSX.Element {
  const { now: w } = words.value;
  const { number, relative, time } = formats.value;
  const starting = useSignal(false);
  const { name, nextAt, last, running, imageCount } = schedule;
  async function run(): Promise<void> {
    starting.value = true;
    try {
      await change('scheduleRun', { name });
      reload();
    } catch (error) {
      toast(textOf(error), 'bad');
    }
    starting.value = false;
  }
  return (
    <li class="flow">
      <div class="flow-head">
        <strong
          class="flow-name"
          title={(schedule.copies?.map(({ from, to }) => `${from} → ${to}`) ?? schedule.images).join('\n')}
        >
          {name}
        </strong>
        {running !== undefined && <Badge tone="info" text={w.scheduleRuns} />}
        {running === undefined && last !== undefined && (
          <Badge tone={TONES[last.outcome]} text={w.scheduleOutcome[last.outcome]} />
        )}
        {running === undefined && mayChange() && (
          <button
            type="button"
            class="link-button"
            aria-label={`${w.scheduleRun}: ${name}`}
            disabled={starting.value}
            onClick={() => void run()}
          >
            {w.scheduleRun}
          </button>
        )}
      </div>
      {running === undefined &&
        last?.errors.map(({ image, error }) => (
          <p key={`${image} ${error}`} class="bad">
            {image === '' ? error : `${image}: ${error}`}
          </p>
        ))}
      <p class="flow-facts">
        <span>
          <code>{schedule.schedule}</code> {schedule.timeZone}
        </span>
        <span>{w.scheduleImages(imageCount, number(imageCount))}</span>
        {nextAt === undefined ? (
          <span>{w.scheduleNever}</span>
        ) : (
          <span title={time(nextAt)}>{w.scheduleNext(relative(nextAt, serverTime()))}</span>
        )}
        {last !== undefined && (
          <span title={time(last.endedAt)}>{w.scheduleLast(relative(last.endedAt, serverTime()))}</span>
        )}
      </p>
    </li>
  );
}
