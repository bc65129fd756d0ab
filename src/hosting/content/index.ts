/**
 * What hosted repositories have, read and changed: blobs, manifests, tags and lists.
 *
 * It never takes an upload and never decides who may change what. Files are served verified, and each change is a whole.
 */
export type { Actor } from './actor.ts';
export { HostedBlobs } from './blobs.ts';
export type { Condition } from './condition.ts';
export { HostedFiles } from './files.ts';
export { HostedLists, type ListPage } from './lists.ts';
export { type FoundManifest, HostedManifests, type ManifestPush, type StoredManifest } from './manifests.ts';
export { createHostedScrub } from './scrub.ts';
export { selectHosted } from './select.ts';
