/**
 * The requests of the registry API, as a client: manifests, blobs, lists, referrers, and what is pushed.
 *
 * Each checks what a registry answers before it counts as an answer. It never chooses the upstream.
 */
export { headBlob, openBlob } from './blobs.ts';
export { listNames } from './lists.ts';
export { locateBlob } from './locate-blob.ts';
export { getManifest, headManifest } from './manifests.ts';
export { deleteBlob, deleteManifest, putManifest } from './push-manifests.ts';
export { listReferrers, NoReferrersError, noReferrers, type ReferrersAsked } from './referrers.ts';
export { appendUpload, cancelUpload, finishUpload, startUpload, uploadStatus } from './uploads.ts';
