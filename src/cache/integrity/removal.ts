import type { Digest } from '../../oci/index.ts';
import { type BlobStore, isFullDisk } from '../../store/index.ts';
import type { BlobRows } from './blob-rows.ts';

interface Holdings {
  readonly store: BlobStore;
  readonly metadata: BlobRows;
}

/**
 * Removes a blob: its row first, so that a crash in between leaves a file without a row, never a row without a file.
 *
 * On a disk without a free byte the row cannot be deleted. There the file goes first, as its room is what the deletion
 * needs. A row without a file is a miss for a reader, and is forgotten by a reconciliation.
 *
 * A concurrent reconciliation may re-create the row between the two deletes; the last line removes it again.
 *
 * @returns false where the row is left, as the room is still too small: {@link forgetWithoutFile} deletes it later
 */
export async function removeBlob(digest: Digest, holdings: Holdings): Promise<boolean> {
  const { store, metadata } = holdings;
  try {
    await metadata.deleteBlob(digest);
    await store.delete(digest);
  } catch (error) {
    if (!isFullDisk(error)) throw error;
    await store.delete(digest);
  }
  try {
    await forgetWithoutFile(digest, holdings);
    return true;
  } catch (error) {
    if (!isFullDisk(error)) throw error;
    return false;
  }
}

/** Writes the row of a file that has none; false where the file was removed meanwhile. */
export async function adoptBlob(
  digest: Digest,
  { size, at, verifiedAt }: { readonly size: number; readonly at: number; readonly verifiedAt?: number },
  holdings: Holdings,
): Promise<boolean> {
  const { store, metadata } = holdings;
  // An eviction deletes the row first: a file that is about to be deleted must not get it back.
  if ((await store.stat(digest)) !== size) return false;
  await metadata.putBlob({
    digest,
    size,
    kind: 'mirrored',
    storedAt: at,
    ...(verifiedAt === undefined ? {} : { verifiedAt }),
  });
  return !(await forgetWithoutFile(digest, holdings));
}

/** Deletes the row of a blob that has no file; true where there was one. */
export async function forgetWithoutFile(digest: Digest, { store, metadata }: Holdings): Promise<boolean> {
  const row = await metadata.getBlob(digest);
  if (row === undefined || (await store.stat(digest)) !== undefined) return false;
  // It may have been stored again meanwhile.
  if ((await metadata.getBlob(digest))?.storedAt !== row.storedAt) return false;
  await metadata.deleteBlob(digest);
  return true;
}
