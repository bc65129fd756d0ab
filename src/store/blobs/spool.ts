import { createDirectory, createDurableDirectory, DirectoryError } from '../directory/index.ts';
import type { BlobStore } from './blob-store.ts';
import { createIngestFile, removeFile, removeLeftOvers } from './ingest-file.ts';
import { layoutOf } from './layout.ts';

/**
 * A store that keeps nothing, for `cache: off`: what is in flight still grows in a file, so that everyone who asks
 * meanwhile can follow it, and the disk has it back when the last reader closes.
 *
 * Throws {@link DirectoryError} where the directory cannot be used.
 */
export async function openSpoolBlobStore(directory: string): Promise<BlobStore> {
  const layout = layoutOf(directory);
  await createDirectory(directory);
  try {
    await createDurableDirectory(layout.ingest);
    await removeLeftOvers(layout.ingest);
  } catch (error) {
    throw new DirectoryError(directory, error);
  }
  return {
    async begin() {
      const path = layout.newIngest();
      const file = await createIngestFile(path, async () => {
        await removeFile(path);
      });
      // The name goes at once and the descriptor holds the bytes: then not even a kill leaves anything behind. Where
      // the platform refuses to unlink an open file, `close` does it.
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
