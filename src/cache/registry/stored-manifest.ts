import { type Digest, digestAlgorithm, digestOf, MAX_MANIFEST_BYTES } from '../../oci/index.ts';
import { unreadable, type Verification } from '../integrity/index.ts';
import { readWhole } from '../metadata/index.ts';

/** The bytes of a stored manifest, hashed at each call; undefined where it is not stored. Corrupt ones are quarantined. */
export async function readStoredManifest(digest: Digest, verification: Verification): Promise<Buffer | undefined> {
  const stored = await verification.open(digest);
  if (stored === undefined) return undefined;
  const { blob } = stored;
  try {
    // A layer that a client asks for as a manifest; as a blob there is nothing wrong with it.
    if (blob.size > MAX_MANIFEST_BYTES) return undefined;
    const bytes = await readWhole(blob);
    // Hashed at each read from the disk, as the bytes stay in memory and are served from there.
    if (bytes !== undefined && digestOf(bytes, digestAlgorithm(digest)) === digest) return bytes;
    await verification.quarantine(digest, { reason: 'content', detail: 'its bytes have another digest' }, blob.mark);
  } catch (error) {
    await verification.quarantine(digest, unreadable(error), blob.mark);
  } finally {
    blob.close().catch(() => {});
  }
  return undefined;
}
