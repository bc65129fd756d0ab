/**
 * Where bytes and names rest: blobs under their digest, tags and memberships in a database, one owner per directory.
 *
 * It never hashes, never asks an upstream and never decides what is kept.
 */
export * from './blob-store.ts';
export * from './name-store.ts';
