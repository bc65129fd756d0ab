/**
 * Repositories whose home is this server: uploads, manifests, tags and their history, quotas, the collection.
 *
 * It never asks an upstream, and never decides who may push.
 */
export type { Collected } from './collection/index.ts';
export type {
  Actor,
  Condition,
  FoundManifest,
  ListPage,
  ManifestPush,
  StoredManifest,
} from './content/index.ts';
export { DeletionPause } from './deletion-pause.ts';
export { DigestLocks } from './digest-locks.ts';
export type { HostedHistory, HostedRollback, HostedTagHistory } from './history.ts';
export type { Hosting, HostingOptions } from './hosting.ts';
export type {
  FileRebuildReport,
  LayoutWriter,
  LayoutWriterOptions,
  RebuildOptions,
  RebuildProgress,
  RebuildReport,
} from './layout/index.ts';
export { type Home, HostingRules } from './rules.ts';
export type {
  HeldUpload,
  UploadBody,
  UploadLimits,
  UploadOwner,
  Uploads,
  UploadsOptions,
} from './uploads/index.ts';

/** What a server that hosts nothing does not load. */
export const loadHosting = (): Promise<typeof import('./hosting.ts')> => import('./hosting.ts');

/** The OCI layouts of hosted repositories, for a server that has some and for the command that rebuilds the records from them. */
export const loadLayouts = (): Promise<typeof import('./layout/index.ts')> => import('./layout/index.ts');
