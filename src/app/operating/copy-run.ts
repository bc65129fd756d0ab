import { setTimeout as delay } from 'node:timers/promises';
import type { CopyingJob, CopyJobs, CopyJobView, ImageToCopy } from '../../copy/index.ts';
import { retryDelay } from '../../jobs/index.ts';
import { OciError } from '../../oci/index.ts';
import type { RunError, RunningWork, WorkResult } from '../../schedules/index.ts';
import type { CopyEnds, CopyNames, CopySchedule } from '../settings/index.ts';
import { endOf } from './job-parts.ts';

/** What a schedule copies. */
export type CopyRun = Pick<CopySchedule, 'images' | 'platforms'>;

/** An image to be copied, without its platforms and who copies it. */
export type ImageEnds = Omit<ImageToCopy, 'platforms' | 'by'>;

interface CopyRunTools {
  /** Who has it run, as rules write it. */
  readonly by: string;
  readonly jobs: Pick<CopyJobs, 'start' | 'cancel'>;
  /** @throws {OciError} where two names are not the ends of a copy that can be made */
  readonly endsOf: (names: CopyNames) => CopyEnds;
  readonly imageOf: (ends: CopyEnds) => ImageEnds;
  /** Every tag of a repository. Rejects with an `OciError`, or the failure of an upstream that does not list them. */
  readonly tagsOf: (ends: CopyEnds, signal: AbortSignal) => Promise<readonly ImageEnds[]>;
  /** Milliseconds until a list is asked for again; undefined: never. @default {@link retryDelay} at random */
  readonly retryAfter?: (error: unknown, failures: number) => number | undefined;
}

interface Wanted {
  readonly names: CopyNames;
  readonly ends: CopyEnds;
}

/**
 * Begins a run of a schedule, which is one job. Where every tag of a repository is copied, its tags are read first, and the job
 * begins then. What cannot be copied fails, and stops no other image.
 *
 * @throws {OciError} where nothing of it can be copied, or too many jobs run
 */
export function runCopy(run: CopyRun, tools: CopyRunTools): RunningWork {
  const { jobs, by, imageOf } = tools;
  const { wanted, errors } = possibleIn(run, tools);
  const stop = new AbortController();
  let job: CopyingJob | undefined;
  const start = (images: readonly ImageEnds[]): CopyingJob => {
    const { platforms } = run;
    job = jobs.start(
      images.map((each) => ({ ...each, platforms, by })),
      by,
    );
    return job;
  };
  const isListed = wanted.some(({ names }) => names.allTags);
  const started = isListed ? undefined : start(wanted.map(({ ends }) => imageOf(ends)));
  const follow = async (): Promise<WorkResult> => {
    if (started !== undefined) return resultOf(await endOf(started), errors);
    const images = await readTags(wanted, { ...tools, errors, signal: stop.signal });
    if (stop.signal.aborted) return { ...NOTHING, failed: errors.length, cancelled: wanted.length, errors };
    if (images.length === 0) return { ...NOTHING, failed: errors.length, errors };
    return resultOf(await endOf(start(images)), errors);
  };
  return {
    ended: follow(),
    get job() {
      return job?.id;
    },
    cancel() {
      stop.abort(new Error('The run was cancelled'));
      if (job !== undefined) jobs.cancel(job);
    },
  };
}

const NOTHING = { done: 0, failed: 0, cancelled: 0, fetched: 0, sent: 0 } as const;

/** @throws {OciError} the first, where every image has one */
function possibleIn(
  { images }: CopyRun,
  { endsOf }: Pick<CopyRunTools, 'endsOf'>,
): { readonly wanted: readonly Wanted[]; readonly errors: RunError[] } {
  const wanted: Wanted[] = [];
  const errors: RunError[] = [];
  let first: OciError | undefined;
  for (const names of images) {
    try {
      wanted.push({ names, ends: endsOf(names) });
    } catch (error) {
      if (!(error instanceof OciError)) throw error;
      first ??= error;
      errors.push({ image: names.to, error: error.message });
    }
  }
  if (wanted.length === 0 && first !== undefined) throw first;
  return { wanted, errors };
}

/** The images to copy, those of every tag included; what cannot be listed is an error more. Ends early where it is stopped. */
async function readTags(
  wanted: readonly Wanted[],
  tools: CopyRunTools & { readonly errors: RunError[]; readonly signal: AbortSignal },
): Promise<readonly ImageEnds[]> {
  const { imageOf, tagsOf, errors, signal } = tools;
  const images: ImageEnds[] = [];
  for (const { names, ends } of wanted) {
    if (!names.allTags) images.push(imageOf(ends));
    else {
      try {
        images.push(...(await patiently(() => tagsOf(ends, signal), tools)));
      } catch (error) {
        if (signal.aborted) return [];
        errors.push({ image: names.to, error: error instanceof Error ? error.message : String(error) });
      }
    }
  }
  return images;
}

/** Asks again where the failure may pass, as often and as late as for an image. */
async function patiently<T>(
  ask: () => Promise<T>,
  {
    signal,
    retryAfter = (error, failures) => retryDelay(error, { failures, random: Math.random() }),
  }: Pick<CopyRunTools, 'retryAfter'> & { readonly signal: AbortSignal },
): Promise<T> {
  for (let failures = 1; ; failures += 1) {
    try {
      return await ask();
    } catch (error) {
      const wait = retryAfter(error, failures);
      if (signal.aborted || wait === undefined) throw error;
      await delay(wait, undefined, { signal });
    }
  }
}

function resultOf({ counts, sent, images }: CopyJobView, errors: readonly RunError[]): WorkResult {
  const failed = images.flatMap(({ image, state, error = '' }) => (state === 'failed' ? [{ image, error }] : []));
  const { done, cancelled } = counts;
  const all = counts.failed + errors.length;
  return { done, failed: all, cancelled, fetched: 0, sent, errors: [...errors, ...failed] };
}
