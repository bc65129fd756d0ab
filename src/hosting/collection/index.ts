/**
 * The collection: records that nothing names any more, and files that no record names.
 *
 * It never races a push: what was written, mounted or answered as existing within the grace stays, and a file goes only under the lock of
 * its digest, once the records say that none names it.
 */
export { type Collected, Collection } from './collection.ts';
