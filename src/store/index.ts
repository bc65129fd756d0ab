/**
 * Where bytes and names rest: blobs under their digest, tags and memberships in a database, one owner per directory.
 *
 * It never hashes, never asks an upstream and never decides what is kept.
 */
export * from './blob-store.ts';
export { type CleanStop, noteCleanStop, takeCleanStop } from './clean-stop.ts';
export * from './directory-error.ts';
export * from './directory-lock.ts';
export { openFilesystemBlobStore } from './filesystem.ts';
export { freeSpace } from './free-space.ts';
export * from './memory.ts';
export * from './memory-names.ts';
export * from './name-store.ts';
export * from './names-error.ts';
export { openResilientNameStore, type ResilientNamesOptions } from './resilient-names.ts';
export { openSpoolBlobStore } from './spool.ts';
export { openSqliteNameStore } from './sqlite.ts';
