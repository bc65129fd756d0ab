import { constants } from 'node:fs';
import { access, mkdir, open, rename, stat, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { DirectoryError } from './error.ts';
import { hasCode } from './system-error.ts';

/**
 * Creates a directory and its parents, readable by this user alone: cached images may be private.
 *
 * An existing directory keeps its mode. Throws {@link DirectoryError} where the directory is not writable.
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
 * As `mkdir -p`. Not by Node's `recursive`: it loops for ever, in a thread that cannot be stopped, where a file system denies
 * that an existing directory exists, as /proc and automounters do.
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

/** Creates one directory if missing, and flushes its entry in the parent directory. */
export async function createDurableDirectory(directory: string): Promise<void> {
  await createDurableDirectories([directory]);
}

/** Creates directories where they are missing, parents before what is in them, and flushes each parent once. */
export async function createDurableDirectories(directories: readonly string[]): Promise<void> {
  for (const directory of directories) {
    try {
      await mkdir(directory, { mode: 0o700 });
    } catch (error) {
      if (!hasCode(error, 'EEXIST')) throw error;
    }
  }
  for (const parent of new Set(directories.map((directory) => dirname(directory)))) await flushDirectory(parent);
}

/** Flushes the entries of a directory: without it a power cut may undo a rename. */
export async function flushDirectory(directory: string): Promise<void> {
  const handle = await open(directory, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    await handle.sync();
  } catch (error) {
    // Some network and user-space file systems do not support it; nothing more can be done there.
    if (!hasCode(error, 'EINVAL', 'ENOTSUP')) throw error;
  } finally {
    await handle.close();
  }
}

/** Writes a small JSON file, readable by this user alone, in one step: a reader sees the old one or the new one. */
export async function replaceJson(file: string, value: object): Promise<void> {
  const draft = `${file}.new`;
  await writeFile(draft, `${JSON.stringify(value)}\n`, { mode: 0o600 });
  await rename(draft, file);
}
