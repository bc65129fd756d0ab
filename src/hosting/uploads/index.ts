/**
 * Uploads: bytes of a client become a blob of a hosted repository, over one request or several, and over a restart.
 *
 * It never speaks HTTP, and never decides who may push or read.
 */
export type { UploadBody } from './receive.ts';
export type { UploadOwner } from './session.ts';
export { type HeldUpload, type UploadLimits, Uploads, type UploadsOptions } from './uploads.ts';
