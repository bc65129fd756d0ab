/**
 * The pull-through cache: have it, join it or get it.
 *
 * It decides freshness and membership and owns every transfer. It never speaks HTTP, and never knows which upstream
 * there is: it asks an {@link Origin}.
 */
export type { BlobReader } from './blob-reader.ts';
export type { BlobAnswer, BlobHead } from './blobs.ts';
export { type CollectAloneOptions, collectAlone } from './collect-alone.ts';
export type { Ingest } from './ingest.ts';
export type { ManifestAnswer } from './manifests.ts';
export * from './origin.ts';
export { type CachePolicy, PullThrough, type PullThroughOptions } from './pull-through.ts';
export { type Purged, type PurgeOptions, type PurgeTools, purge } from './purge.ts';
export type { Refreshed } from './refresh.ts';
export type { Collected, CollectOptions, Pause } from './room.ts';
export { Scrub, type ScrubOptions, type ScrubProblem, type ScrubProgress } from './scrub.ts';
export type { Selection, UrlSelection } from './selection.ts';
export type { DiskSpace, MinFree } from './sweep-policy.ts';
export { UrlCache } from './url-cache.ts';
export { evaluateConditions } from './url-conditions.ts';
export { headersBehind } from './url-policy.ts';
export type * from './url-request.ts';
export { Verification, type VerificationOptions } from './verification.ts';
