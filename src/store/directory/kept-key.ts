import { randomBytes } from 'node:crypto';
import { open, readFile, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { flushDirectory } from './directories.ts';

const BYTES = 32;

/**
 * A random key of 32 bytes that outlives the process: it is made at the first use, in a file (0600) of the cache directory. Only the
 * owner of the directory calls it.
 *
 * A file of another size is replaced. Where the disk takes no file, the key lasts as long as the process.
 */
export async function keptKey(directory: string, name: string): Promise<Buffer> {
  const file = join(directory, name);
  const known = await readFile(file).catch(() => undefined);
  if (known?.length === BYTES) return known;
  const key = randomBytes(BYTES);
  try {
    const draft = await open(`${file}.new`, 'w', 0o600);
    try {
      await draft.writeFile(key);
      await draft.sync();
    } finally {
      await draft.close();
    }
    await rename(`${file}.new`, file);
    await flushDirectory(directory);
  } catch {
    // Uploads end with the process then, and clients begin them again.
  }
  return key;
}
