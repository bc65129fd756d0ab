/**
 * What has come of a blob whose transfer ended early: noted while it comes, kept within bounds, and gone on with by the next transfer.
 *
 * It never decides that a blob is right: the digest of the whole does.
 */
export type { Place } from './checkpoints.ts';
export { PartialContent } from './content.ts';
export { Keeping, PartialContentError } from './keeping.ts';
