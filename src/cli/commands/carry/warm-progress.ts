import type { RefusedImage, WarmImage, WarmJob } from '../../../admin/index.ts';
import { formatBytes } from '../../../telemetry/index.ts';
import { count, formatTable } from '../../format.ts';
import { clean } from './image-bars.ts';

/** What became of all the images of a command. */
export interface WarmSummary {
  readonly images: number;
  readonly done: number;
  /** Hosted here: all of them are stored. */
  readonly hosted: number;
  readonly failed: readonly { readonly image: string; readonly error: string }[];
  /** Failed ones, with those that a long job does not list. */
  readonly failedCount: number;
  readonly cancelled: number;
  readonly fetched: number;
  /** Bytes that were stored before. */
  readonly present: number;
}

/** Sums up the jobs of a command. An image that was named twice counts once. */
export function summarize(jobs: readonly WarmJob[], refused: readonly RefusedImage[]): WarmSummary {
  const sum = (of: (job: WarmJob) => number): number => jobs.reduce((before, job) => before + of(job), 0);
  const hosted = refused.filter((each) => each.hosted === true);
  const wrong = refused.filter((each) => each.hosted !== true);
  const failed = [
    ...wrong.map(({ image, error }) => ({ image, error })),
    ...jobs.flatMap(({ images }) => images.filter(isFailed)).map(({ image, error }) => ({ image, error: error ?? '' })),
  ];
  const fetched = sum((job) => job.fetched);
  const done = sum(({ counts }) => counts.done);
  const failedCount = wrong.length + sum(({ counts }) => counts.failed);
  const cancelled = sum(({ counts }) => counts.cancelled);
  return {
    images: done + failedCount + cancelled + hosted.length,
    done,
    hosted: hosted.length,
    failed,
    failedCount,
    cancelled,
    fetched,
    present: Math.max(0, sum(({ bytes }) => bytes) - fetched),
  };
}

function isFailed({ state }: WarmImage): boolean {
  return state === 'failed';
}

/** Failures that are shown; `--json` has those that the server lists. */
const MAX_SHOWN = 100;

export function formatSummary(summary: WarmSummary): string {
  const { done, hosted, failed, failedCount, cancelled, fetched, present } = summary;
  const lines = failed.slice(0, MAX_SHOWN).map(({ image, error }) => `${clean(image)}: ${clean(error)}`);
  if (failedCount > lines.length) lines.push(`and ${failedCount - lines.length} more`);
  const bytes = `${formatBytes(fetched)} fetched, ${formatBytes(present)} ${present === 1 ? 'was' : 'were'} there`;
  lines.push(`${count(done, 'image')} ${done === 1 ? 'is' : 'are'} in the cache: ${bytes}.`);
  if (hosted > 0) lines.push(`${count(hosted, 'image')} hosted here: nothing to fetch.`);
  if (cancelled > 0) lines.push(`${count(cancelled, 'image')} cancelled.`);
  if (failedCount > 0)
    lines.push(`${count(failedCount, 'image')} failed. Repeat the command: what is stored is not fetched again.`);
  return `${lines.join('\n')}\n`;
}

/** One line for an image whose state has changed, for an output that is no terminal; undefined where it says nothing new. */
export function formatChange({ image, state, fetched, bytes, error }: WarmImage): string | undefined {
  const name = clean(image);
  switch (state) {
    case 'running':
      return `${name}: fetching`;
    case 'done':
      return `${name}: done, ${formatBytes(fetched)} fetched, ${formatBytes(Math.max(0, bytes - fetched))} were there`;
    case 'failed':
      return `${name}: failed: ${clean(error ?? 'unknown error')}`;
    case 'cancelled':
      return `${name}: cancelled`;
    default:
      return error === undefined ? undefined : `${name}: waits for another attempt: ${clean(error)}`;
  }
}

/** The jobs of a server, the newest first. */
export function formatJobs(jobs: readonly WarmJob[]): string {
  if (jobs.length === 0)
    return 'No images are being fetched, nor were in the last hour. Name some: entrepot warm IMAGE…\n';
  const rows = jobs.map(({ id, by, counts, bytes, size, fetched, endedAt }) => {
    const total = Object.values(counts).reduce((one, other) => one + other, 0);
    const ended = counts.done + counts.failed + counts.cancelled;
    const wrong = counts.failed === 0 ? '' : `, ${counts.failed} failed`;
    return [
      id,
      endedAt === undefined ? 'runs' : 'ended',
      `${ended} of ${total}${wrong}`,
      `${formatBytes(bytes)} of ${formatBytes(size)}`,
      formatBytes(fetched),
      clean(by),
    ];
  });
  return `${formatTable([['JOB', 'STATE', 'IMAGES', 'STORED', 'FETCHED', 'BY'], ...rows]).join('\n')}\n`;
}
