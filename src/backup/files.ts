import { constants } from 'node:fs';
import { lstat, mkdir, open, readdir, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { flushDirectory, hasCode } from '../store/index.ts';

/** In a cache directory, and in the same place of its backup. */
export const HOSTED = 'hosted';
export const ACCESS = 'access.db';

/** Keys that no upstream has: of uploads that pass through, and of the authority that clients trust. */
const KEYS = ['push.key', join('ca', 'ca.crt'), join('ca', 'ca.key')];

/** Bytes of a key, with ample room. */
const MAX_KEY_BYTES = 1024 * 1024;

const FILE_MODE = 0o600;

/** Whether a regular file is there. */
export async function isFile(path: string): Promise<boolean> {
  try {
    return (await lstat(path)).isFile();
  } catch (error) {
    if (hasCode(error, 'ENOENT', 'ENOTDIR')) return false;
    throw error;
  }
}

/** The names in a directory; none where there is no directory. */
export async function namesIn(directory: string): Promise<readonly string[]> {
  try {
    return await readdir(directory);
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return [];
    throw error;
  }
}

/** Writes a file that only this user may read, in one step: a reader sees the old one or the new one, after a power cut too. */
export async function writeWhole(file: string, data: string | Buffer): Promise<void> {
  const draft = `${file}.new`;
  try {
    await using handle = await open(draft, 'w', FILE_MODE);
    await handle.writeFile(data);
    await handle.sync();
  } catch (error) {
    await rm(draft, { force: true });
    throw error;
  }
  await publish(draft, file);
}

/** Gives a finished file its name. Its bytes are on the disk. */
export async function publish(draft: string, file: string): Promise<void> {
  await rename(draft, file);
  await flushDirectory(dirname(file));
}

/** Removes a database that was not finished, with what SQLite has beside it. */
export async function removeDatabase(file: string): Promise<void> {
  for (const suffix of ['', '-wal', '-shm', '-journal']) await rm(`${file}${suffix}`, { force: true });
}

/** Copies a file of any size to a new one that only this user may read, and flushes it. */
export async function copyWhole(source: string, target: string): Promise<void> {
  await using from = await open(source, constants.O_RDONLY | constants.O_NOFOLLOW);
  await using to = await open(target, 'wx', FILE_MODE);
  const buffer = Buffer.allocUnsafe(MAX_KEY_BYTES);
  for (let position = 0; ; ) {
    const { bytesRead } = await from.read(buffer, 0, buffer.length, position);
    if (bytesRead === 0) break;
    await to.write(buffer, 0, bytesRead, position);
    position += bytesRead;
  }
  await to.sync();
}

/**
 * Copies the keys that are there.
 *
 * @param keep what the target has already stays. @default it is replaced
 * @returns the names of those that were copied
 */
export async function copyKeys(
  source: string,
  target: string,
  { keep = false }: { readonly keep?: boolean } = {},
): Promise<readonly string[]> {
  const copied: string[] = [];
  for (const name of KEYS) {
    const bytes = await readKey(join(source, name));
    const file = join(target, name);
    if (bytes === undefined || (keep && (await isFile(file)))) continue;
    await mkdir(dirname(file), { recursive: true, mode: 0o700 });
    await writeWhole(file, bytes);
    copied.push(name);
  }
  return copied;
}

async function readKey(file: string): Promise<Buffer | undefined> {
  try {
    await using handle = await open(file, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    const stats = await handle.stat();
    return stats.isFile() && stats.size <= MAX_KEY_BYTES ? await handle.readFile() : undefined;
  } catch (error) {
    if (hasCode(error, 'ENOENT', 'ENOTDIR', 'ELOOP', 'ENXIO')) return undefined;
    throw error;
  }
}
