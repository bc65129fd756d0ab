import type { ScrubProgress } from '../../../cache/index.ts';
import { formatBytes } from '../../../telemetry/index.ts';
import { formatDuration, formatProgress } from '../../progress.ts';
import { formatTable, shortDigest } from '../../table.ts';

/** Problems shown; `--json` has more. */
const MAX_SHOWN = 50;

/** One line on how far a scrub has come. @param now milliseconds since 1970 */
export function formatScrubLine(progress: ScrubProgress, now: number): string {
  const { startedAt, blobs, bytes, totalBytes, rotten, missing } = progress;
  const seconds = Math.max(0.001, (now - startedAt) / 1000);
  const rate = bytes / seconds;
  // What came in meanwhile is looked at as well.
  const whole = Math.max(totalBytes, bytes);
  const left = rate === 0 ? '' : `  ${formatDuration(Math.ceil((whole - bytes) / rate))} left`;
  const wrong = rotten + missing === 0 ? '' : `  ${rotten + missing} wrong`;
  const bar = formatProgress({ bytes, size: whole });
  return `${bar}  ${count(blobs)}  ${formatBytes(Math.round(rate))}/s${left}${wrong}`;
}

/** What a scrub found. */
export function formatScrubResult(progress: ScrubProgress): string {
  const {
    state,
    startedAt,
    finishedAt = startedAt,
    blobs,
    bytes,
    rotten,
    missing,
    adopted,
    problems,
    error,
  } = progress;
  const rows = problems.slice(0, MAX_SHOWN).map(({ digest, reason, detail }) => [shortDigest(digest), reason, detail]);
  const lines = rows.length === 0 ? [] : formatTable([['DIGEST', 'WRONG', 'FOUND'], ...rows]);
  const all = rotten + missing;
  if (all > rows.length) lines.push(`and ${all - rows.length} more`);
  const took = formatDuration(Math.round((finishedAt - startedAt) / 1000));
  const checked = `${count(blobs)}, ${formatBytes(bytes)}, in ${took}`;
  if (state === 'stopped') lines.push(`Stopped after ${checked}.`);
  else if (state === 'failed') lines.push(`Gave up after ${checked}: ${error ?? 'nobody knows why'}.`);
  else lines.push(`Checked ${checked}.`);
  if (rotten > 0) {
    lines.push(`${rotten} wrong: in quarantine now, and fetched again when they are asked for.`);
  }
  if (missing > 0) lines.push(`${missing} missing: forgotten now, and fetched again when they are asked for.`);
  if (adopted > 0) lines.push(`${adopted} were not known of, and are right: adopted.`);
  if (all === 0 && state === 'done') lines.push('Every one is right.');
  return `${lines.join('\n')}\n`;
}

function count(blobs: number): string {
  return blobs === 1 ? '1 blob' : `${blobs} blobs`;
}
