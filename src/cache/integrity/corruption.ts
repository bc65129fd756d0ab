import type { Digest } from '../../oci/index.ts';
import type { BlobStore, MetadataStore } from '../../store/index.ts';
import type { Events, Telemetry } from '../../telemetry/index.ts';

/** What is wrong with a stored blob; see the event `blob.rotten`. */
export type RotReason = Events['blob.rotten']['reason'];

export interface Corruption {
  readonly reason: RotReason;
  /** For an operator: what was found, and what should have been. */
  readonly detail: string;
}

export interface CondemnOptions extends Corruption {
  readonly store: BlobStore;
  readonly metadata: MetadataStore;
  readonly telemetry: Telemetry;
}

/**
 * Takes a blob that is not what was stored out of sight, says so, and never rejects: whoever found out goes on to fetch
 * it afresh, whatever the disk thinks of being tidied up.
 *
 * The row goes first, so that a crash in between leaves a file without a row, which is looked at before it is believed.
 */
export async function quarantine(digest: Digest, options: CondemnOptions): Promise<void> {
  const { store, metadata, telemetry, reason, detail } = options;
  telemetry.publish('blob.rotten', { digest, reason, detail });
  try {
    await metadata.deleteBlob(digest);
  } catch (error) {
    telemetry.publish('warning', { message: `Cannot forget the rotten blob ${digest}`, error });
  }
  try {
    // Of a missing one too: a link or a directory may lie in its place.
    await store.quarantine(digest);
  } catch (error) {
    telemetry.publish('warning', { message: `Cannot put the rotten blob ${digest} into quarantine`, error });
  }
}

/** The disk, or the file system on it, says that it lost what it had: not that it is full, busy or not ours. */
const DISK_ERRORS: ReadonlySet<string> = new Set(['EIO', 'EUCLEAN', 'EBADMSG', 'EREMOTEIO', 'ENODATA']);

/** True where a file could not be opened because what it lies on is broken. A process out of descriptors is no such case. */
export function isDiskError(error: unknown): boolean {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' && DISK_ERRORS.has(error.code);
}
