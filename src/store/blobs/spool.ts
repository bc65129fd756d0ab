import { rmdir } from 'node:fs/promises';
import { createDirectory, createDurableDirectory, DirectoryError, hasCode } from '../directory/index.ts';
import type { BlobStore } from './blob-store.ts';
import { createIngestFile, removeFile, removePartialFiles } from './ingest-file.ts';
import { layoutOf } from './layout.ts';

/** Removes the directory of a spool that is closed. Files of other programs stay, and the directory with them. */
export async function removeSpool(directory: string): Promise<void> {
  const { ingest } = layoutOf(directory);
  try {
    await removePartialFiles(ingest);
    for (const each of [ingest, directory]) await rmdir(each);
  } catch (error) {
    if (!hasCode(error, 'ENOENT', 'ENOTEMPTY', 'EEXIST')) throw error;
  }
}

/**
 * A store that keeps nothing, for `cache: off`. A blob in transfer still grows in a file, so that later requests can follow
 * it; its space is freed when the last reader closes.
 *
 * Throws {@link DirectoryError} where the directory is unusable.
 */
export async function openSpoolBlobStore(directory: string): Promise<BlobStore> {
  const layout = layoutOf(directory);
  await createDirectory(directory);
  try {
    await createDurableDirectory(layout.ingest);
    await removePartialFiles(layout.ingest);
  } catch (error) {
    throw new DirectoryError(directory, error);
  }
  return {
    async begin() {
      const path = layout.newIngest();
      const file = await createIngestFile(path, async () => {
        await removeFile(path);
      });
      // The name is removed at once and the descriptor keeps the bytes, so that even a kill leaves no file. Where the platform
      // refuses to unlink an open file, `close` does it.
      await removeFile(path).catch(() => undefined);
      return file;
    },
    open: () => Promise.resolve(undefined),
    stat: () => Promise.resolve(undefined),
    delete: () => Promise.resolve(false),
    quarantine: () => Promise.resolve(),
    async *list() {},
    async *listDigests() {},
    unknownFiles: () => Promise.resolve({ count: 0, names: [] }),
  };
}
