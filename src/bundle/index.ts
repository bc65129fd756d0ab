/**
 * Bundles: images as an OCI image layout in a tar archive, out of what is stored here, and into it.
 *
 * Everything is verified by its digest, in both directions. It never asks an upstream, never decides what a name means, and never uses a
 * path of an archive as a path.
 */
export { Contents, type ContentsOptions } from './contents.ts';
export { blobsOfBundle } from './earlier.ts';
export { BundleError } from './error.ts';
export { type BundleEntry, LAYOUT_FILE } from './layout.ts';
export { type ImagePlan, type ImageToCarry, isComplete, type Part, planImage, type Tree } from './plan.ts';
export {
  type ImportedImage,
  type ImportedManifest,
  type ImportReport,
  type ImportSink,
  type ImportTarget,
  importBundle,
} from './read-bundle.ts';
export { type StoredList, StoredLists } from './stored-lists.ts';
export { isTar } from './tar-header.ts';
export { type BundlePart, type Written, writeBundle } from './write-bundle.ts';
