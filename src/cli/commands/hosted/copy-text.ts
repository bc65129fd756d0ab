import type { CopyProgress, Problem } from '../../../backup/index.ts';
import { formatBytes } from '../../../telemetry/index.ts';
import { count, formatDuration, formatList, formatProgress, shortDigest } from '../../format.ts';

/** The progress of a backup or restore on one line. Times are milliseconds since 1970. */
export function formatCopyLine(progress: CopyProgress, startedAt: number, now: number): string {
  const { totalBlobs, totalBytes, blobs, bytes, copiedBytes, problems } = progress;
  const rate = copiedBytes / Math.max(0.001, (now - startedAt) / 1000);
  const left = rate === 0 ? '' : `  ${formatDuration(Math.ceil((totalBytes - bytes) / rate))} left`;
  const wrong = problems === 0 ? '' : `  ${problems} wrong`;
  const bar = formatProgress({ bytes, size: totalBytes });
  return `${bar}  ${blobs} of ${count(totalBlobs, 'blob')}  ${formatBytes(Math.round(rate))}/s${left}${wrong}`;
}

/** What could not be copied, with the repositories that miss it. */
export function formatProblems(list: readonly Problem[], total: number): readonly string[] {
  const rows = list.map(({ digest, repositories, why }) => [shortDigest(digest), repositories.join(', ') || '-', why]);
  return formatList(['DIGEST', 'OF', 'WRONG'], rows, total);
}

/** `12 repositories, 345 blobs, 1.2 GiB` */
export function formatHosted({
  repositories = 0,
  totalBlobs,
  totalBytes,
}: Pick<CopyProgress, 'totalBlobs' | 'totalBytes'> & { readonly repositories: number | undefined }): string {
  const named = repositories === 1 ? '1 repository' : `${repositories} repositories`;
  return `${named}, ${count(totalBlobs, 'blob')}, ${formatBytes(totalBytes)}`;
}

/** `users and tokens`, `push.key`: what there is beside hosted content; undefined where there is nothing. */
export function formatBeside({
  access,
  keys,
}: {
  readonly access: boolean;
  readonly keys: readonly string[];
}): string | undefined {
  const parts = [...(access ? ['users and tokens'] : []), ...keys];
  return parts.length === 0 ? undefined : parts.join(', ');
}
