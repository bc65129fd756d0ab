import type { CarriedPart, PlannedImage } from '../../../admin/index.ts';
import { formatBytes } from '../../../telemetry/index.ts';
import { count, shortDigest } from '../../format.ts';
import { clean } from './image-bars.ts';

/** What an image lacks here. */
export interface Lack {
  readonly image: string;
  /** Why it lacks all of it, or a platform. */
  readonly reason?: string;
  readonly missing: readonly CarriedPart[];
  /** Bytes of what is missing, as far as they are known. */
  readonly bytes: number;
}

/** Of each image that is not whole, what is missing. */
export function lacksOf(planned: readonly PlannedImage[]): readonly Lack[] {
  return planned
    .filter(({ complete }) => !complete)
    .map(({ image, error, tree, missingPlatforms }) => {
      const missing = (tree?.parts ?? []).filter(({ stored, optional }) => !stored && optional !== true);
      const bytes = missing.reduce((sum, { size = 0 }) => sum + size, 0);
      const none = tree === undefined ? 'nothing of it is stored' : undefined;
      const platforms =
        missingPlatforms.length === 0 ? undefined : `it has no image for ${missingPlatforms.join(', ')}`;
      const reason = error ?? none ?? platforms;
      return { image, missing, bytes, ...(reason === undefined ? {} : { reason }) };
    });
}

/** Parts of one image that are shown; `--json` has all of them. */
const MAX_PARTS = 5;
const MAX_IMAGES = 200;

export function formatLacks(lacks: readonly Lack[]): readonly string[] {
  const lines = lacks.slice(0, MAX_IMAGES).flatMap(({ image, reason, missing, bytes }) => {
    const name = clean(image);
    if (missing.length === 0) return [`${name}: ${clean(reason ?? 'it is not whole')}`];
    const size = bytes === 0 ? '' : `, ${formatBytes(bytes)}`;
    const why = reason === undefined ? '' : `; ${clean(reason)}`;
    const parts = missing
      .slice(0, MAX_PARTS)
      .map(
        ({ kind, digest, size }) =>
          `  ${kind} ${shortDigest(digest)}${size === undefined ? '' : `  ${formatBytes(size)}`}`,
      );
    const rest = missing.length > MAX_PARTS ? [`  and ${missing.length - MAX_PARTS} more`] : [];
    return [`${name}: lacks ${count(missing.length, 'part')}${size}${why}`, ...parts, ...rest];
  });
  if (lacks.length > MAX_IMAGES) lines.push(`and ${count(lacks.length - MAX_IMAGES, 'image')} more`);
  return lines;
}
