import type { Digest } from '../../oci/index.ts';
import type { BlobStore } from '../../store/index.ts';
import type { Events, Telemetry } from '../../telemetry/index.ts';
import { attempt } from '../attempt.ts';
import type { BlobRows } from './blob-rows.ts';

/** What is wrong with a stored blob; see the event `blob.rotten`. */
export interface Corruption {
  readonly reason: Events['blob.rotten']['reason'];
  /** For operators: what was found, and what was expected. */
  readonly detail: string;
}

interface QuarantineOptions extends Corruption {
  readonly store: BlobStore;
  readonly metadata: BlobRows;
  readonly telemetry: Telemetry;
}

/**
 * Moves a corrupt blob out of the store and publishes that. Never rejects: the request that found it goes on to fetch the
 * blob again, even where the disk refuses the move.
 *
 * The row is deleted first, so that a crash in between leaves a file without a row, which is hashed before it is served.
 */
export async function quarantine(digest: Digest, options: QuarantineOptions): Promise<void> {
  const { store, metadata, telemetry, reason, detail } = options;
  telemetry.publish('blob.rotten', { digest, reason, detail });
  const forgetting = { telemetry, message: `Cannot delete the row of the corrupt blob ${digest}` };
  await attempt(() => metadata.deleteBlob(digest), forgetting);
  // A missing file too: a link or a directory may lie in its place.
  const moving = { telemetry, message: `Cannot put the corrupt blob ${digest} into quarantine` };
  await attempt(() => store.quarantine(digest), moving);
}

/** The disk, or its file system, has lost data. Not: it is full, busy or belongs to another user. */
const DISK_ERRORS: ReadonlySet<string> = new Set(['EIO', 'EUCLEAN', 'EBADMSG', 'EREMOTEIO', 'ENODATA']);

/** True where a file cannot be opened because its disk is broken. A process without free descriptors is no such case. */
export function isDiskError(error: unknown): boolean {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' && DISK_ERRORS.has(error.code);
}
