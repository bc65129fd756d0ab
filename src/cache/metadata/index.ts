/**
 * What the cache records about content: tags, where they pointed, which are held and which are pinned, the blobs of each repository, read times, what a manifest names.
 *
 * It reads and writes the metadata store. It never changes a blob and never asks an upstream.
 */

export { type Cooling, coolingOf } from './cooldown.ts';
export { type StoredParts, storedParts, type TagHistory, tagHistory } from './history.ts';
export { addTree, readWhole } from './manifest-tree.ts';
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
export { isOver, TagHolds } from './tag-holds.ts';
export { type PinOutcome, TagPins } from './tag-pins.ts';
export { TagRecords } from './tag-records.ts';
