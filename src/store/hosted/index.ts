/**
 * The records of hosted repositories: blobs, manifests, tags and their moves.
 *
 * Each operation is a whole; it never offers a transaction. It never opens a blob file.
 */
export type * from './hosted-store.ts';
export { MAX_HOSTED_MOVES } from './hosted-store.ts';
export { MemoryHostedStore } from './memory.ts';
