/**
 * How much the cache may hold, and what is evicted when it holds more: capacity, order, retention, purge.
 *
 * The order is pure policy (`policy.ts`). It never evicts content that a reader or a transfer uses, and never deletes a file
 * that the store did not write.
 */

export { CacheCapacity, type CapacityLimits, type Collected, type CollectOptions, type Pause } from './capacity.ts';
export { collectOffline } from './offline.ts';
export { type DiskSpace, floorOf, type MinFree } from './policy.ts';
export { type Purged, type PurgeOptions, purge } from './purge.ts';
export { retainedDigests, retentionRule } from './retention.ts';
