import { statfs } from 'node:fs/promises';

/** What the file system of a directory has, in bytes: what this user may still write, and all of it. */
export async function freeSpace(directory: string): Promise<{ readonly free: number; readonly total: number }> {
  const { bavail, blocks, bsize } = await statfs(directory);
  return { free: bavail * bsize, total: blocks * bsize };
}
