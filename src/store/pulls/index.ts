/**
 * What was pulled: the last pulls one by one, their sums by the hour and day, and when each tag was last pulled; in bounded
 * rows, in a database of their own.
 *
 * Nothing is served from it, and it may be lost at any time. It never holds a header or the query of a URL.
 */
export { MemoryPullStore } from './memory.ts';
export {
  type AskedUpstream,
  asksFor,
  compareRecency,
  dayOf,
  type Figure,
  type FigureKey,
  type FigureSums,
  hourOf,
  type LastPull,
  matches,
  NO_SUMS,
  type PullFilter,
  type PullOutcome,
  type PullPosition,
  type PullRecord,
  type PullStore,
  type PullSummary,
  type RecordedRequest,
} from './pull-store.ts';
export { openPullStore } from './sqlite.ts';
