import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Digest } from '../../oci/index.ts';
import type { BlobStore, MetadataStore, ReadBlobRecord } from '../../store/index.ts';
import { removeBlob } from '../integrity/index.ts';

export interface SweepOptions {
  readonly store: BlobStore;
  readonly metadata: MetadataStore;
  /** Bytes that have to go. */
  readonly wanted: number;
  /** Asked right before a blob goes. @default nothing is */
  readonly isSpared?: (digest: Digest) => boolean;
  /** True: nothing goes, but what would is told. @default false */
  readonly dryRun?: boolean;
  /** Told of each blob that goes, or would. */
  readonly onEvict?: (blob: ReadBlobRecord) => void;
}

export interface Swept {
  /** Bytes. */
  readonly freed: number;
  readonly blobs: number;
}

/** Blobs looked up at a time. */
const BATCH = 64;

/** Files in one sweep that may refuse to go before it is given up. */
const MAX_REFUSALS = 16;

/**
 * Takes the blobs that were not read for the longest time until as much is free as is wanted, or nothing is left to take.
 *
 * Rejects where files cannot be removed, after having tried others.
 */
export async function sweep(options: SweepOptions): Promise<Swept> {
  const { store, metadata, wanted, isSpared = () => false, dryRun = false, onEvict = () => {} } = options;
  let freed = 0;
  let blobs = 0;
  const refusals: unknown[] = [];
  for (let after: ReadBlobRecord | undefined; freed < wanted; ) {
    const page = await metadata.leastRecentlyUsed(BATCH, after);
    for (const blob of page) {
      if (freed >= wanted) break;
      if (isSpared(blob.digest)) continue;
      try {
        if (!dryRun) await removeBlob(blob.digest, { store, metadata });
        freed += blob.size;
        blobs += 1;
        onEvict(blob);
      } catch (error) {
        refusals.push(error);
        if (refusals.length === MAX_REFUSALS) break;
      }
    }
    after = page.at(-1);
    if (page.length < BATCH || refusals.length === MAX_REFUSALS) break;
    await nextTurn();
  }
  if (refusals.length > 0) throw refusals[0];
  return { freed, blobs };
}
