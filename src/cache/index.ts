/**
 * The pull-through cache: have it, join it or get it.
 *
 * It decides what is fresh and which blobs belong to a repository, and owns every transfer. It never speaks HTTP and never
 * chooses an upstream: each request brings its origin.
 */

export {
  type Collected,
  type CollectOptions,
  collectOffline,
  floorOf,
  type MinFree,
  type Purged,
  type PurgeOptions,
  purge,
} from './eviction/index.ts';
export {
  type BlobRows,
  type CheckedBlob,
  Scrub,
  type ScrubProgress,
  type ScrubRows,
  Verification,
} from './integrity/index.ts';
export {
  type PinOutcome,
  readWhole,
  type Selection,
  type TagHistory,
  TagHolds,
  TagPins,
  tagHistory,
  type UrlSelection,
} from './metadata/index.ts';
export { type CachePolicy, type CompiledPolicy, compilePolicy } from './policy.ts';
export { PullThrough, type PullThroughOptions } from './pull-through.ts';
export {
  answerStored,
  type BlobAnswer,
  type BlobHead,
  type BlobRequest,
  type CarriedBlob,
  HoldError,
  isManifestStored,
  type ManifestAnswer,
  type Outlook,
  type PassingBlob,
  type PlatformFilter,
  type PushedBlob,
  platformFilter,
  type Refreshed,
  type RollbackRequest,
  type RolledBack,
  readStoredManifest,
  rollback,
  type TagRefreshOptions,
} from './registry/index.ts';
export type { Ingest, SplitOf } from './transfer/index.ts';
export {
  evaluateConditions,
  headersBehind,
  type KeptUrl,
  type UrlAnswer,
  type UrlCache,
  type UrlKey,
  type UrlOpen,
  type UrlRequest,
  type UrlResponse,
} from './url/index.ts';
