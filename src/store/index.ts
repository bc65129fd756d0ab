/**
 * The storage of the cache: blob files under their digest, the metadata database, users and tokens, and one owning process per directory.
 *
 * It hashes only what it copies from one store to another, never sends a request to an upstream, and never decides what is kept.
 */

export type { AccessNames, AccessStore, AccessStoreError, TokenRecord, UserRecord } from './access/index.ts';
export {
  type BlobSource,
  type BlobStore,
  type CopyOptions,
  type CopyOutcome,
  type DirectFile,
  freeSpace,
  type Ingestion,
  isIngestionName,
  type KeptPartial,
  type LinkableBlobStore,
  type LinkOutcome,
  MAX_NOTE_BYTES,
  MAX_PARTIAL_NOTE_BYTES,
  type NamedIngestion,
  openFilesystemBlobStore,
  openHostedBlobStore,
  openSpoolBlobStore,
  type PartialFlush,
  type PartialIngestion,
  type PartialStore,
  type ReopenedIngestion,
  type ReopenedPartial,
  type ResumableBlobStore,
  type ResumableIngestion,
  readHostedBlobs,
  removeSpool,
  requireNamed,
  requireShort,
  type StoredBlob,
  type UnknownFiles,
} from './blobs/index.ts';
export { deliveryFile } from './delivery-file.ts';
export {
  claimDirectory,
  createDurableDirectories,
  DirectoryError,
  DirectoryInUseError,
  flushDirectory,
  fullDisk,
  hasCode,
  keptKey,
  lockDirectory,
  lockOther,
  noteCleanStop,
  refuseForeign,
  takeCleanStop,
} from './directory/index.ts';
export type {
  ChangeOptions,
  CollectedRecords,
  CollectHostedOptions,
  DeletedManifest,
  HostedBlob,
  HostedManifest,
  HostedMove,
  HostedStore,
  HostedStoreError,
  HostedTag,
  HostedUsage,
  MovedTag,
  NewManifest,
  OpenHostedStoreOptions,
  PutManifestOptions,
  PutManifestOutcome,
  TagChange,
} from './hosted/index.ts';
export {
  type BlobRecord,
  type FoundRepositories,
  type HoldEntry,
  MAX_HOLDS,
  MAX_PINS,
  MAX_TAG_MOVES,
  MAX_URLS_PER_BLOB,
  type MemberRecord,
  MemoryMetadataStore,
  type MetadataStore,
  type NotedMember,
  openRecoveringMetadataStore,
  openSqliteMetadataStore,
  type PinEntry,
  type PublicRecord,
  type ReadBlobRecord,
  type RepositorySearch,
  type TagEntry,
  type TagHold,
  type TagMove,
  type TagPin,
  type TagRecord,
  type UrlEntry,
  type UrlName,
  type UrlRecord,
} from './metadata/index.ts';
export { observationFile } from './observation-file.ts';
export {
  hourOf,
  MemoryObservationStore,
  type Observation,
  type ObservationStore,
  openObservationStore,
} from './observations/index.ts';
export { filesOfPulls, pullFile } from './pull-file.ts';
export type {
  AskedUpstream,
  Figure,
  FigureKey,
  FigureSums,
  LastPull,
  PullFilter,
  PullOutcome,
  PullPosition,
  PullRecord,
  PullStore,
  PullSummary,
  RecordedRequest,
} from './pulls/index.ts';
export { isFullDisk } from './sqlite-error.ts';
export type { DeliveryChanges, DeliveryStore, StoredDelivery } from './webhooks/index.ts';

/** What stores users and tokens; the start of a server without `access:` does not load it. */
export const loadAccessStore = (): Promise<typeof import('./access/index.ts')> => import('./access/index.ts');

/** What keeps the queue of webhooks; the start of a server without `webhooks:` does not load it. */
export const loadDeliveryStore = (): Promise<typeof import('./webhooks/index.ts')> => import('./webhooks/index.ts');

/** What stores the records of hosted repositories; the start of a server that hosts none does not load it. */
export const loadHostedStore = (): Promise<typeof import('./hosted/index.ts')> => import('./hosted/index.ts');

/** What keeps the record of pulls; it is loaded after the start. */
export const loadPullStore = (): Promise<typeof import('./pulls/index.ts')> => import('./pulls/index.ts');
