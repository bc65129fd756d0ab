/**
 * What was pulled, and by whom: requests of clients become pulls, their sums by the hour and the rates of the last minutes.
 *
 * It only listens: it never decides, delays or fails a request. It keeps no header, no query of a URL and no credential, and
 * whatever clients send, it stays within its bounds.
 */
export type { Rates } from './figures.ts';
export type { FigureTotals, ListedPulls, ListPosition } from './reading.ts';
export { type LiveListeners, PullRecorder } from './recorder.ts';

/** What reads the record: pulling does not need it. */
export const loadPullReading = (): Promise<typeof import('./reading.ts')> => import('./reading.ts');
