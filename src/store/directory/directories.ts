import { constants } from 'node:fs';
import { access, mkdir, open, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { DirectoryError } from './error.ts';
import { hasCode } from './system-error.ts';

/**
 * Makes a directory, and those above it, readable by this user alone: what is cached may be private.
 *
 * One that is there already keeps its mode. Throws {@link DirectoryError} where it cannot be written to.
 */
export async function createDirectory(directory: string): Promise<void> {
  try {
    await makeWithParents(directory);
    await access(directory, constants.W_OK | constants.X_OK);
  } catch (error) {
    throw new DirectoryError(directory, error);
  }
}

/**
 * As `mkdir -p`. Not by Node's `recursive`, which asks for ever, in a thread nobody can stop, where a file system says of a
 * directory that is there that it is not: /proc does, and automounters.
 */
async function makeWithParents(directory: string): Promise<void> {
  try {
    await makeOrFind(directory);
  } catch (error) {
    const parent = dirname(directory);
    if (!hasCode(error, 'ENOENT') || parent === directory || (await isDirectory(parent))) throw error;
    await makeWithParents(parent);
    await makeOrFind(directory);
  }
}

async function makeOrFind(directory: string): Promise<void> {
  try {
    await mkdir(directory, { mode: 0o700 });
  } catch (error) {
    if (!hasCode(error, 'EEXIST') || !(await isDirectory(directory))) throw error;
  }
}

async function isDirectory(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isDirectory();
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return false;
    throw error;
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
