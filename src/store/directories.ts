import { constants } from 'node:fs';
import { access, mkdir, open } from 'node:fs/promises';
import { dirname } from 'node:path';
import { DirectoryError } from './directory-error.ts';
import { hasCode } from './system-error.ts';

/**
 * Makes a directory, and those above it, readable by this user alone: what is cached may be private.
 *
 * One that is there already keeps its mode. Throws {@link DirectoryError} where it cannot be written to.
 */
export async function createDirectory(directory: string): Promise<void> {
  try {
    await mkdir(directory, { recursive: true, mode: 0o700 });
    await access(directory, constants.W_OK | constants.X_OK);
  } catch (error) {
    throw new DirectoryError(directory, error);
  }
}

/** Makes one directory, or finds it there, and brings the entry that names it to the disk. */
export async function createDurableDirectory(directory: string): Promise<void> {
  try {
    await mkdir(directory, { mode: 0o700 });
  } catch (error) {
    if (!hasCode(error, 'EEXIST')) throw error;
  }
  await flushDirectory(dirname(directory));
}

/** Brings the entries of a directory to the disk: without it a rename may be undone by a power cut. */
export async function flushDirectory(directory: string): Promise<void> {
  const handle = await open(directory, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    await handle.sync();
  } catch (error) {
    // Some network and user-space file systems have no such operation. They are as durable as they are.
    if (!hasCode(error, 'EINVAL', 'ENOTSUP')) throw error;
  } finally {
    await handle.close();
  }
}
