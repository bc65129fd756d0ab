import { statfs } from 'node:fs/promises';

/** The free and total bytes of a directory's file system; `free` is the part this user may write. */
export async function freeSpace(directory: string): Promise<{ readonly free: number; readonly total: number }> {
  const { bavail, blocks, bsize } = await statfs(directory);
  return { free: bavail * bsize, total: blocks * bsize };
}
