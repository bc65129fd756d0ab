import type { BlobStore, MetadataStore } from '../../store/index.ts';
import type { Telemetry } from '../../telemetry/index.ts';
import { createFreshness, type FreshnessOptions } from '../metadata/index.ts';
import { CacheCapacity, type Collected, type CollectOptions, type RoomLimits } from './capacity.ts';
import { retentionRule, sparedDigests } from './retention.ts';

export interface CollectOfflineOptions extends RoomLimits {
  readonly store: BlobStore;
  readonly metadata: MetadataStore;
  readonly telemetry: Telemetry;
  readonly tags?: FreshnessOptions | 'never';
  /** Patterns of `registry/repository:tag`. @default [] */
  readonly pin?: readonly string[];
}

/** Evicts what is too much of a cache that no server runs on: the caller holds its lock. */
export async function collectOffline(options: CollectOfflineOptions, how: CollectOptions): Promise<Collected> {
  const { store, metadata, telemetry, maxSize, minFree, disk, tags = {}, pin = [] } = options;
  const freshness = createFreshness(tags === 'never' ? {} : tags);
  const isSpared = retentionRule({ freshness, pin, now: Date.now });
  const room = new CacheCapacity({
    store,
    metadata,
    telemetry,
    maxSize,
    minFree,
    disk,
    transfers: () => [],
    retained: () => sparedDigests({ metadata, store, isSpared }),
    isInUse: () => false,
    prepare: () => Promise.resolve(),
  });
  try {
    return await room.collect(how);
  } finally {
    await room.close();
  }
}
