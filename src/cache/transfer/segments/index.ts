/**
 * Parts of a blob that are fetched beside the front of its transfer: to make it faster, and as clients read there first.
 *
 * It never verifies a byte, and never writes where another does.
 */
export { Deliveries, type UpstreamShare } from './deliveries.ts';
export { type Extent, Extents } from './extents.ts';
export { DiskError, Segment } from './segment.ts';
export { type SegmentedTransfer, Segments } from './segments.ts';
export { SegmentSlots, type SplitOf, type SplitPolicy } from './slots.ts';
export type { SourcedSpan } from './span-sources.ts';
export { splitAmong } from './split.ts';
