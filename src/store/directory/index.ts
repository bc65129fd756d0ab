/**
 * The cache directory: its creation, the marker by which it says that it is a cache, its lock, its note of a clean stop, its key.
 *
 * It never writes to a directory that is no cache, and never deletes a file that this program did not create.
 */
export { noteCleanStop, takeCleanStop } from './clean-stop.ts';
export { createDirectory, createDurableDirectories, createDurableDirectory, flushDirectory } from './directories.ts';
export { DirectoryError, DirectoryInUseError, fullDisk } from './error.ts';
export { keptKey } from './kept-key.ts';
export { lockDirectory, lockOther } from './lock.ts';
export { claimDirectory, refuseForeign } from './marker.ts';
export { hasCode } from './system-error.ts';
