/**
 * One blob on its way in: a growing file that every reader follows.
 *
 * It holds the invariants of a transfer (`ingest.ts`). It never decides who may read, and never publishes unverified bytes.
 */

export { describeIngest, publishIngest } from './events.ts';
export { InUse, releasing } from './in-use.ts';
export { Ingest } from './ingest.ts';
export { OriginReader } from './origin-reader.ts';
export { Keeping, PartialContent } from './partial/index.ts';
export { planRange } from './policy.ts';
export { RunningTransfers } from './running.ts';
export { SegmentSlots, type SplitOf, type SplitPolicy, type UpstreamShare } from './segments/index.ts';
export { StoredReader } from './stored-reader.ts';
