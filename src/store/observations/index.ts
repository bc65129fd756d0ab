/**
 * What principals did with repositories, in bounded rows by the hour, in a database of their own.
 *
 * It never decides what a principal may, and nothing is served from it: it may be lost at any time.
 */
export { MemoryObservationStore } from './memory.ts';
export {
  hourOf,
  type Observation,
  type ObservationKey,
  type ObservationStore,
} from './observation-store.ts';
export { openObservationStore } from './sqlite.ts';
