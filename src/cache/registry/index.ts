/**
 * Manifests, tags and blobs of registries, served from the store, from a running transfer or from the origin.
 *
 * It decides which of the three serves a request. It never speaks HTTP.
 */
export { answerStored, type BlobAnswer, type BlobHead } from './blob-answer.ts';
export { type BlobRequest, Blobs } from './blobs.ts';
export { Carried, type CarriedBlob } from './carried.ts';
export { type ManifestAnswer, type ManifestRequest, Manifests } from './manifests.ts';
export { type Outlook, outlookOf } from './outlook.ts';
export type { PassingBlob } from './passing-blob.ts';
export { type PlatformFilter, platformFilter } from './platforms.ts';
export { Pushed, type PushedBlob } from './pushed.ts';
export { type Refreshed, refresh, type TagRefreshOptions } from './refresh.ts';
export { HoldError, isManifestStored, type RollbackRequest, type RolledBack, rollback } from './rollback.ts';
export { readStoredManifest } from './stored-manifest.ts';
export { Tags } from './tags.ts';
