import type { BlobStore, NameStore } from '../store/index.ts';
import type { Telemetry } from '../telemetry/index.ts';

export interface SweepOptions {
  readonly store: BlobStore;
  readonly names: NameStore;
  readonly telemetry: Telemetry;
  /** Bytes the cache may hold. */
  readonly maxSize: number;
}

/** Share of the limit that is left free by a sweep, so that the next blob does not start another. */
const HEADROOM = 0.05;

/** Blobs looked up at a time. */
const BATCH = 64;

/**
 * Takes the blobs that were not read for the longest time until the rest fits, and returns the bytes it freed.
 *
 * Whoever reads a blob while it goes keeps reading: the file leaves its name at once and the disk with its last reader.
 * The index goes first, so that a crash in between leaves a file nobody counts, never a row without a file.
 */
export async function sweep({ store, names, telemetry, maxSize }: SweepOptions): Promise<number> {
  let { bytes } = await names.totals();
  if (bytes <= maxSize) return 0;
  const target = Math.floor(maxSize * (1 - HEADROOM));
  let freed = 0;
  while (bytes > target) {
    const oldest = await names.leastRecentlyUsed(BATCH);
    if (oldest.length === 0) break;
    for (const { digest, size } of oldest) {
      if (bytes <= target) break;
      await names.deleteBlob(digest);
      await store.delete(digest);
      bytes -= size;
      freed += size;
    }
  }
  if (freed > 0) telemetry.publish('cache.swept', { freed, left: bytes });
  return freed;
}
