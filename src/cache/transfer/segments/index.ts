/**
 * Parts of a blob that are fetched beside the front of its transfer: to make it faster, and as clients read there first.
 *
 * It never verifies a byte, and never writes where another does.
 */
export { type Extent, Extents } from './extents.ts';
export { type SegmentedTransfer, Segments } from './segments.ts';
export { SegmentSlots, type SplitOf, type SplitPolicy } from './slots.ts';
