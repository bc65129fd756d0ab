import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Digest } from '../../oci/index.ts';
import { type BlobStore, isFullDisk, type MetadataStore, type ReadBlobRecord } from '../../store/index.ts';
import { forgetWithoutFile, removeBlob } from '../integrity/index.ts';

interface SweepOptions {
  readonly store: BlobStore;
  readonly metadata: MetadataStore;
  /** Bytes to free. */
  readonly wanted: number;
  /** Asked right before a blob is evicted. @default no blob is retained */
  readonly isRetained?: (digest: Digest) => boolean;
  /** True: nothing is evicted, and `onEvict` gets what would be. @default false */
  readonly dryRun?: boolean;
  /** Called for each blob that is evicted, or would be. */
  readonly onEvict?: (blob: ReadBlobRecord) => void;
}

export interface Swept {
  /** Bytes. */
  readonly freed: number;
  readonly blobs: number;
  /** Partial blobs, which go before whole ones; left out where there was none. */
  readonly partials?: number;
}

/** Blobs listed at a time. */
const BATCH = 64;

/** Files that cannot be removed before a sweep gives up. */
const MAX_REFUSALS = 16;

/**
 * Evicts the least recently used blobs until enough is free, or none is left to evict.
 *
 * Rejects where files cannot be removed, after it has tried others.
 */
export async function sweep(options: SweepOptions): Promise<Swept> {
  const { store, metadata, wanted, isRetained = () => false, dryRun = false, onEvict = () => {} } = options;
  let freed = 0;
  let blobs = 0;
  const refusals: unknown[] = [];
  /** Of files that made too little room for the change of the database. Those that came later have made more. */
  const rowsLeft: Digest[] = [];
  for (let after: ReadBlobRecord | undefined; freed < wanted; ) {
    const page = await metadata.leastRecentlyUsed(BATCH, after);
    for (const blob of page) {
      if (freed >= wanted) break;
      if (isRetained(blob.digest)) continue;
      try {
        if (!dryRun && !(await removeBlob(blob.digest, { store, metadata }))) rowsLeft.push(blob.digest);
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
  for (const digest of rowsLeft) {
    await forgetWithoutFile(digest, { store, metadata }).catch((error: unknown) => {
      if (!isFullDisk(error)) throw error;
    });
  }
  if (refusals.length > 0) throw refusals[0];
  return { freed, blobs };
}
