import type { BlobStore, NameStore } from '../../store/index.ts';
import type { Telemetry } from '../../telemetry/index.ts';
import { createFreshness, type FreshnessOptions } from '../metadata/index.ts';
import { type Collected, type CollectOptions, Room, type RoomLimits } from './capacity.ts';
import { sparedDigests, sparingRule } from './retention.ts';

export interface CollectAloneOptions extends RoomLimits {
  readonly store: BlobStore;
  readonly names: NameStore;
  readonly telemetry: Telemetry;
  readonly tags?: FreshnessOptions | 'never';
  /** Patterns of `registry/repository:tag`. @default [] */
  readonly pin?: readonly string[];
}

/** Evicts what is too much of a cache that no server runs on: the caller holds its lock. */
export async function collectAlone(options: CollectAloneOptions, how: CollectOptions): Promise<Collected> {
  const { store, names, telemetry, maxSize, minFree, disk, tags = {}, pin = [] } = options;
  const freshness = createFreshness(tags === 'never' ? {} : tags);
  const isSpared = sparingRule({ freshness, pin, now: Date.now });
  const room = new Room({
    store,
    names,
    telemetry,
    maxSize,
    minFree,
    disk,
    transfers: () => [],
    spared: () => sparedDigests({ names, store, isSpared }),
    isInUse: () => false,
    prepare: () => Promise.resolve(),
  });
  try {
    return await room.collect(how);
  } finally {
    await room.close();
  }
}
