/**
 * The records of hosted repositories: blobs, manifests, tags and their moves.
 *
 * Each operation is a whole; it never offers a transaction. A change is on the disk when its promise resolves. Lost records are an
 * error, and never become empty ones. It never opens a blob file.
 */
export { HostedStoreError, REBUILD_REMEDY } from './error.ts';
export type * from './hosted-store.ts';
export { MAX_HOSTED_MOVES } from './hosted-store.ts';
export { MemoryHostedStore } from './memory.ts';
export { type OpenHostedStoreOptions, openHostedStore, RECORDS, RESTORING } from './open.ts';
export { HOSTED_USE_NOTED_AFTER, MIN_HOSTED_UNUSED } from './uses.ts';
