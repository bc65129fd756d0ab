import type { CopyImage, CopyJob } from '../../../admin/index.ts';
import { formatBytes } from '../../../telemetry/index.ts';
import { count, formatTable } from '../../format.ts';
import { clean } from './image-bars.ts';

/** What became of a copy. */
export function formatCopied({ images, counts, sent, mounted, skipped, blobs, manifests }: CopyJob): string {
  const failed = images.filter(({ state }) => state === 'failed');
  const lines = failed.map(({ image, error }) => `${clean(image)}: ${clean(error ?? 'unknown error')}`);
  if (counts.failed > failed.length) lines.push(`and ${counts.failed - failed.length} more`);
  const uploaded = Math.max(0, blobs - mounted - skipped);
  const parts = `${count(uploaded, 'blob')} and ${count(manifests, 'manifest')} sent, ${mounted} mounted, ${skipped} there before`;
  lines.push(`${count(counts.done, 'image')} copied: ${formatBytes(sent)} sent; ${parts}.`);
  if (counts.cancelled > 0) lines.push(`${count(counts.cancelled, 'image')} cancelled.`);
  if (counts.failed > 0)
    lines.push(`${count(counts.failed, 'image')} failed. Repeat the command: what was sent is not sent again.`);
  return `${lines.join('\n')}\n`;
}

/** One line for an image whose state has changed, for an output that is no terminal; undefined where it says nothing new. */
export function formatCopyChange({ image, from, state, sent, error }: CopyImage): string | undefined {
  const name = clean(image);
  switch (state) {
    case 'running':
      return `${name}: copying from ${clean(from)}`;
    case 'done':
      return `${name}: done, ${formatBytes(sent)} sent`;
    case 'failed':
      return `${name}: failed: ${clean(error ?? 'unknown error')}`;
    case 'cancelled':
      return `${name}: cancelled`;
    default:
      return error === undefined ? undefined : `${name}: waits for another attempt: ${clean(error)}`;
  }
}

/** The jobs of a server, the newest first. */
export function formatCopyJobs(jobs: readonly CopyJob[]): string {
  if (jobs.length === 0) {
    return 'No images are being copied, nor were in the last hour. Name some: entrepot copy SOURCE DESTINATION\n';
  }
  const rows = jobs.map(({ id, by, counts, bytes, size, sent, endedAt }) => {
    const ended = counts.done + counts.failed + counts.cancelled;
    const wrong = counts.failed === 0 ? '' : `, ${counts.failed} failed`;
    return [
      id,
      endedAt === undefined ? 'runs' : 'ended',
      `${ended} of ${ended + counts.waiting + counts.running}${wrong}`,
      `${formatBytes(bytes)} of ${formatBytes(size)}`,
      formatBytes(sent),
      clean(by),
    ];
  });
  return `${formatTable([['JOB', 'STATE', 'IMAGES', 'THERE', 'SENT', 'BY'], ...rows]).join('\n')}\n`;
}
