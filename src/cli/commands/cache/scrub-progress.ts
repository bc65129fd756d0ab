import type { ScrubProgress } from '../../../admin/index.ts';
import { formatBytes } from '../../../telemetry/index.ts';
import { count, formatDuration, formatList, formatProgress, shortDigest } from '../../format.ts';
import { formatUnknown } from './unknown-files.ts';

/** The progress of a scrub on one line. @param now milliseconds since 1970 */
export function formatScrubLine(progress: ScrubProgress, now: number): string {
  const { startedAt, blobs, bytes, totalBytes, rotten, missing } = progress;
  const seconds = Math.max(0.001, (now - startedAt) / 1000);
  const rate = bytes / seconds;
  // Blobs stored since the start are checked too.
  const whole = Math.max(totalBytes, bytes);
  const left = rate === 0 ? '' : `  ${formatDuration(Math.ceil((whole - bytes) / rate))} left`;
  const wrong = rotten + missing === 0 ? '' : `  ${rotten + missing} wrong`;
  const bar = formatProgress({ bytes, size: whole });
  return `${bar}  ${count(blobs, 'blob')}  ${formatBytes(Math.round(rate))}/s${left}${wrong}`;
}

const NONE = { rotten: 0, missing: 0 };

/** The result of a scrub. */
export function formatScrubResult(progress: ScrubProgress): string {
  const { state, startedAt, finishedAt = startedAt, blobs, bytes, rotten, missing, adopted, error } = progress;
  const { hosted = NONE } = progress;
  const isNamed = progress.problems.some(({ repositories }) => repositories !== undefined);
  const rows = progress.problems.map(({ digest, reason, detail, repositories }) => [
    shortDigest(digest),
    reason,
    ...(isNamed ? [repositories?.join(', ') ?? '-'] : []),
    detail,
  ]);
  const lines = formatList(['DIGEST', 'WRONG', ...(isNamed ? ['HOSTED IN'] : []), 'FOUND'], rows, rotten + missing);
  const took = formatDuration(Math.round((finishedAt - startedAt) / 1000));
  const checked = `${count(blobs, 'blob')}, ${formatBytes(bytes)}, in ${took}`;
  if (state === 'stopped') lines.push(`Stopped after ${checked}.`);
  else if (state === 'failed') lines.push(`Gave up after ${checked}: ${error ?? 'unknown error'}.`);
  else lines.push(`Checked ${checked}.`);
  const mirrored = { rotten: rotten - hosted.rotten, missing: missing - hosted.missing };
  if (mirrored.rotten > 0) {
    lines.push(`${mirrored.rotten} corrupt: moved to quarantine, and fetched again on the next request.`);
  }
  if (mirrored.missing > 0)
    lines.push(`${mirrored.missing} missing: forgotten, and fetched again on the next request.`);
  if (hosted.rotten + hosted.missing > 0) {
    lines.push(
      `${hosted.rotten + hosted.missing} hosted here and lost (corrupt ones are in hosted/quarantine): no upstream has them. Push the images again, or restore a backup.`,
    );
  }
  if (adopted > 0) lines.push(`${adopted} without a record, and correct: adopted.`);
  lines.push(...formatUnknown(progress.unknown));
  if (rotten + missing === 0 && state === 'done') lines.push('All are correct.');
  return `${lines.join('\n')}\n`;
}
