/**
 * Repositories whose home is this server: uploads, manifests, tags and their history, quotas, the collection.
 *
 * It never asks an upstream, and never decides who may push.
 */
export { DigestLocks } from './digest-locks.ts';
export { type Home, HostingRules } from './rules.ts';
export {
  type HeldUpload,
  type UploadBody,
  type UploadLimits,
  type UploadOwner,
  Uploads,
  type UploadsOptions,
} from './uploads/index.ts';
