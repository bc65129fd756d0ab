import { createDirectory, createDurableDirectory, DirectoryError } from '../directory/index.ts';
import type { BlobStore } from './blob-store.ts';
import { createIngestFile, removeFile, removePartialFiles } from './ingest-file.ts';
import { layoutOf } from './layout.ts';

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
  };
}
