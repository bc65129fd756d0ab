import type { BlobStore, MetadataStore } from '../../store/index.ts';
import type { Telemetry } from '../../telemetry/index.ts';
import { createCooldown, createFreshness, type FreshnessOptions } from '../revalidation/index.ts';
import { CacheCapacity, type CapacityLimits, type Collected, type CollectOptions } from './capacity.ts';
import type { DiskSpace } from './policy.ts';
import { retainedDigests, retentionRule } from './retention.ts';

interface CollectOfflineOptions extends CapacityLimits {
  readonly store: BlobStore;
  readonly metadata: MetadataStore;
  readonly telemetry: Telemetry;
  readonly disk?: (() => Promise<DiskSpace>) | undefined;
  readonly tags?: FreshnessOptions | 'never';
  /** Patterns of `registry/repository:tag`. @default [] */
  readonly pin?: readonly string[];
}

/** Evicts what exceeds the limits of a cache without a running server: the caller holds its lock. */
export async function collectOffline(options: CollectOfflineOptions, how: CollectOptions): Promise<Collected> {
  const { store, metadata, telemetry, disk, tags = {}, pin = [] } = options;
  const rules = tags === 'never' ? {} : tags;
  const freshness = createFreshness(rules);
  const cooldown = createCooldown(rules);
  const isRetained = retentionRule({ freshness, pin, now: Date.now });
  const capacity = new CacheCapacity({
    store,
    metadata,
    telemetry,
    limits: () => options,
    disk,
    transfers: () => [],
    retained: () => retainedDigests({ metadata, store, isRetained, cooldown, now: Date.now() }),
    isInUse: () => false,
    prepare: () => Promise.resolve(),
  });
  try {
    return await capacity.collect(how);
  } finally {
    await capacity.close();
  }
}
