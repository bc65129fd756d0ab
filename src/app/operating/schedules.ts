import { actorShownTo, type Caller, type OperationContext, type ScheduleEntry } from '../../admin/index.ts';
import { OciError, type Repository } from '../../oci/index.ts';
import type { RunningWork, RunRecord, ScheduleSpec, ScheduleState } from '../../schedules/index.ts';
import type { RunningServer } from '../running-server.ts';
import { oneImage } from '../settings/index.ts';
import { seesOf } from './job-parts.ts';
import { type WarmRunner } from './warm.ts';

/** Images of a schedule in an answer. */
const MAX_LISTED = 100;

/** The schedules of a server, for its operations; they run from now on. */
export function schedulesOf({ live, parts }: RunningServer, warm: WarmRunner): OperationContext['schedules'] {
  parts.schedules.open((spec, by) => beginRun(spec, by, warm));
  const repositoryOf = (image: string): Repository | undefined => {
    try {
      return oneImage(image, live.current.upstreams.catalogue).repository;
    } catch (error) {
      if (error instanceof OciError) return undefined;
      throw error;
    }
  };
  const show = async (state: ScheduleState, caller: Caller): Promise<ScheduleEntry | undefined> => {
    if (caller.seesAll) return entryOf(state, { images: state.spec.images, caller });
    const sees = seesOf(caller);
    const seen: string[] = [];
    for (const image of state.spec.images) {
      const repository = repositoryOf(image);
      if (repository !== undefined && (await sees(repository))) seen.push(image);
    }
    if (seen.length === 0) return undefined;
    const isWhole = seen.length === state.spec.images.length;
    const entry = entryOf(state, { images: seen, caller });
    // Errors are about images by their complete names, and a name or a text may tell of one that is not seen.
    return isWhole ? entry : { ...entry, ...(entry.last && { last: { ...entry.last, errors: [] } }) };
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
      const known = schedules?.list().find(({ spec }) => spec.name === name);
      if (schedules === undefined || known === undefined) return undefined;
      const before = await show(known, caller);
      if (before === undefined) return undefined;
      if (before.imageCount !== known.spec.images.length) {
        throw new OciError('DENIED', `${caller.name} may not pull every image of ${name}, and so may not have it run`);
      }
      const begun = schedules.run(name, caller.name);
      if (begun === undefined) return undefined;
      const { state } = begun;
      return { schedule: entryOf(state, { images: state.spec.images, caller }), started: begun.isNew };
    },
  };
}

function entryOf(
  { spec, nextAt, running, last }: ScheduleState,
  { images, caller }: { readonly images: readonly string[]; readonly caller: Caller },
): ScheduleEntry {
  const { name, schedule, recurrence, platforms } = spec;
  const timeZone = recurrence.kind === 'cron' ? recurrence.timeZone : undefined;
  return {
    name,
    schedule,
    ...(timeZone !== undefined && { timeZone }),
    images: images.slice(0, MAX_LISTED),
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
function beginRun({ images, platforms }: ScheduleSpec, by: string, warm: WarmRunner): RunningWork {
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
