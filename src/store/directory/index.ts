/**
 * The cache directory: its creation, its lock, its note of a clean stop.
 *
 * It never deletes a file that this server did not create.
 */
export { noteCleanStop, takeCleanStop } from './clean-stop.ts';
export { createDirectory, createDurableDirectory, flushDirectory } from './directories.ts';
export { DirectoryError, DirectoryInUseError } from './error.ts';
export { lockDirectory } from './lock.ts';
export { hasCode } from './system-error.ts';
