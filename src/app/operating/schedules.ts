import { actorShownTo, type Caller, type OperationContext, type ScheduleEntry } from '../../admin/index.ts';
import { OciError, type Repository } from '../../oci/index.ts';
import type { RunningWork, RunRecord, ScheduleState } from '../../schedules/index.ts';
import type { RunningServer } from '../running-server.ts';
import { type CopyNames, copyEndsOf, oneImage, type ScheduledWork, type WarmSchedule } from '../settings/index.ts';
import { type CopyRunner, requirePush } from './copy.ts';
import { seesOf } from './job-parts.ts';
import type { WarmRunner } from './warm.ts';

/** Images of a schedule in an answer. */
const MAX_LISTED = 100;

type State = ScheduleState<ScheduledWork>;

/** The schedules of a server, for its operations; they run from now on. */
export function schedulesOf(
  { live, parts }: RunningServer,
  { warm, copy }: { readonly warm: WarmRunner; readonly copy: CopyRunner },
): OperationContext['schedules'] {
  parts.schedules.open((work, by) => (work.kind === 'warm' ? runWarm(work, by, warm) : copy.run(work, by)));
  /** All that a caller has to see, to see an image of a schedule: of a copy its source and its destination. Undefined where it has no meaning any more. */
  const repositoriesOf = (image: string | CopyNames): readonly Repository[] | undefined => {
    const { catalogue } = live.current.upstreams;
    try {
      if (typeof image === 'string') return [oneImage(image, catalogue).repository];
      const { source, destination } = copyEndsOf(image, catalogue);
      return [source.repository, destination.repository];
    } catch (error) {
      if (error instanceof OciError) return undefined;
      throw error;
    }
  };
  const seenBy = async (caller: Caller, { images }: ScheduledWork): Promise<readonly (string | CopyNames)[]> => {
    if (caller.seesAll) return images;
    const sees = seesOf(caller);
    const seen: (string | CopyNames)[] = [];
    for (const image of images) {
      const repositories = repositoriesOf(image);
      if (repositories !== undefined && (await seesEach(repositories, sees))) seen.push(image);
    }
    return seen;
  };
  const show = async (state: State, caller: Caller): Promise<ScheduleEntry | undefined> => {
    const images = await seenBy(caller, state.spec);
    if (images.length === 0) return undefined;
    const entry = entryOf(state, { images, caller });
    const isWhole = images.length === state.spec.images.length;
    if (isWhole) return entry;
    // Errors are about images by their complete names, and a name or a text may tell of one that is not seen.
    return { ...entry, name: state.spec.label, ...(entry.last && { last: { ...entry.last, errors: [] } }) };
  };
  /** Rejects with an `OciError` where a caller may not have every image of a schedule fetched or copied. */
  const requireRight = async (work: ScheduledWork, caller: Caller): Promise<void> => {
    const { label, images } = work;
    if ((await seenBy(caller, work)).length < images.length) {
      throw new OciError('DENIED', `${caller.name} may not pull every image of ${label}, and so may not have it run`);
    }
    for (const image of images) {
      const [, destination] = repositoriesOf(image) ?? [];
      if (destination !== undefined) requirePush(destination, caller);
    }
  };
  /** The schedule that a caller knows by a name: as the list shows it. */
  const knownTo = async (
    caller: Caller,
    states: readonly State[],
    name: string,
  ): Promise<ScheduledWork | undefined> => {
    for (const state of states) if ((await show(state, caller))?.name === name) return state.spec;
    return undefined;
  };
  return {
    async list(caller) {
      const states = (await parts.schedules.read())?.list() ?? [];
      const entries: ScheduleEntry[] = [];
      for (const state of states) {
        const entry = await show(state, caller);
        if (entry !== undefined) entries.push(entry);
      }
      return entries;
    },
    async run(name, caller) {
      const schedules = await parts.schedules.read();
      const known = await knownTo(caller, schedules?.list() ?? [], name);
      if (known === undefined) return undefined;
      await requireRight(known, caller);
      const begun = schedules?.run(known.name, caller.name);
      if (begun === undefined) return undefined;
      const { state } = begun;
      return { schedule: entryOf(state, { images: state.spec.images, caller }), started: begun.isNew };
    },
  };
}

async function seesEach(repositories: readonly Repository[], sees: ReturnType<typeof seesOf>): Promise<boolean> {
  for (const repository of repositories) if (!(await sees(repository))) return false;
  return true;
}

function entryOf(
  { spec, nextAt, running, last }: State,
  { images, caller }: { readonly images: readonly (string | CopyNames)[]; readonly caller: Caller },
): ScheduleEntry {
  const { name, kind, schedule, recurrence, platforms } = spec;
  const timeZone = recurrence.kind === 'cron' ? recurrence.timeZone : undefined;
  const listed = images.slice(0, MAX_LISTED);
  const copies = listed.filter((image) => typeof image !== 'string');
  return {
    name,
    kind,
    schedule,
    ...(timeZone !== undefined && { timeZone }),
    images: listed.map((image) => (typeof image === 'string' ? image : image.from)),
    ...(kind === 'copy' && { copies }),
    imageCount: images.length,
    platforms,
    ...(nextAt !== undefined && { nextAt }),
    ...(running !== undefined && { running: { ...running, by: byShownTo(caller, running.by) } }),
    ...(last !== undefined && lastOf(last, caller)),
  };
}

/** Nothing of a run that has not ended. */
function lastOf(run: RunRecord, caller: Caller): Pick<ScheduleEntry, 'last'> {
  const { endedAt, outcome, by, failing: _, ...more } = run;
  return endedAt === undefined || outcome === undefined
    ? {}
    : { last: { ...more, by: byShownTo(caller, by), endedAt, outcome } };
}

function byShownTo(caller: Caller, by: string): string {
  return by === 'schedule' ? by : (actorShownTo(caller, by) ?? '');
}

/** A job of the images of a schedule. @throws {OciError} where it cannot begin */
function runWarm({ images, platforms }: WarmSchedule, by: string, warm: WarmRunner): RunningWork {
  const { id, ended, refused, cancel } = warm.run({ images, platforms, partial: true }, by);
  const wrong = refused.filter(({ hosted }) => hosted !== true);
  return {
    job: id,
    cancel,
    ended: ended.then(({ counts, fetched, images: shown }) => ({
      done: counts.done,
      failed: counts.failed + wrong.length,
      cancelled: counts.cancelled,
      fetched,
      errors: [
        ...wrong.map(({ image, error }) => ({ image, error })),
        ...shown.flatMap(({ image, state, error = '' }) => (state === 'failed' ? [{ image, error }] : [])),
      ],
    })),
  };
}
