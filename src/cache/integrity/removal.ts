import type { Digest } from '../../oci/index.ts';
import type { BlobStore, MetadataStore } from '../../store/index.ts';

export interface Holdings {
  readonly store: BlobStore;
  readonly metadata: MetadataStore;
}

/**
 * Removes a blob: its row first, so that a crash in between leaves a file nobody counts, never a row without a file.
 *
 * Whoever adopts files may find this one between the two and give it a row again, which then goes as well.
 */
export async function removeBlob(digest: Digest, holdings: Holdings): Promise<void> {
  await holdings.metadata.deleteBlob(digest);
  await holdings.store.delete(digest);
  await forgetWithoutFile(digest, holdings);
}

/** Gives a file that has no row one; false where somebody removed the file meanwhile. */
export async function adoptBlob(
  digest: Digest,
  { size, at, verifiedAt }: { readonly size: number; readonly at: number; readonly verifiedAt?: number },
  holdings: Holdings,
): Promise<boolean> {
  const { store, metadata } = holdings;
  // Whoever evicts takes the row first: what is about to go must not get it back.
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

/** Forgets a row that has no file; true where there was one. */
export async function forgetWithoutFile(digest: Digest, { store, metadata }: Holdings): Promise<boolean> {
  const row = await metadata.getBlob(digest);
  if (row === undefined || (await store.stat(digest)) !== undefined) return false;
  // It may have been stored anew meanwhile.
  if ((await metadata.getBlob(digest))?.storedAt !== row.storedAt) return false;
  await metadata.deleteBlob(digest);
  return true;
}
