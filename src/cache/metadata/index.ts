/**
 * What the cache records about content: tags, the blobs of each repository, read times, how fresh a record is.
 *
 * It reads and writes the metadata store. It never touches a blob and never asks an upstream.
 */

export { createFreshness, type Freshness, type FreshnessOptions, isFresh } from './freshness.ts';
export { addTree } from './manifest-tree.ts';
export { ReadTimes } from './read-times.ts';
export { RepositoryBlobs } from './repository-blobs.ts';
export {
  isPattern,
  MAX_SELECTED,
  PAGE,
  pages,
  type Selection,
  selectRepositories,
  selectTags,
  selectUrls,
  type UrlSelection,
} from './selection.ts';
export { TagRecords } from './tag-records.ts';
