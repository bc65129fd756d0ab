/**
 * Users and tokens, in a file of their own (`access.db`): unlike the metadata of mirrored images, no upstream has them.
 *
 * Each operation is a whole, and durable before it resolves. A damaged file is an error, and never becomes an empty one. It never sees a
 * password or a token, only their hashes.
 */

export type { AccessStore, TokenRecord, TokenUse, UserRecord } from './access-store.ts';
export { AccessStoreError } from './error.ts';
export { MemoryAccessStore } from './memory.ts';
export { type AccessNames, copyAccessStore, openAccessStore, readAccessStore } from './sqlite.ts';
