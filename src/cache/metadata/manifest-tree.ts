import { inTurns } from '../../lib/index.ts';
import { type Digest, MAX_MANIFEST_BYTES, type Manifest, parseManifest } from '../../oci/index.ts';
import type { BlobStore, StoredBlob } from '../../store/index.ts';

/** The manifest that a tree begins with: the one that a tag points to. */
interface TreeRoot {
  readonly digest: Digest;
  readonly mediaType: string;
}

interface TreeOptions {
  readonly store: BlobStore;
  /** Receives every digest of the tree. The trees of digests that it holds already are not walked again. */
  readonly into: Set<Digest>;
  /** The most digests in it; the rest is left out. */
  readonly limit: number;
}

/**
 * Adds a manifest and everything it names, as far down as the manifests are stored. What cannot be read or parsed names
 * nothing: the tree decides about eviction and purge, and nothing is served from it.
 */
export async function addTree(root: TreeRoot, { store, into, limit }: TreeOptions): Promise<void> {
  const waiting: TreeRoot[] = [root];
  for (let next = waiting.pop(); next !== undefined && into.size < limit; next = waiting.pop()) {
    if (into.has(next.digest)) continue;
    into.add(next.digest);
    const manifest = await readManifest(store, next);
    if (manifest === undefined) continue;
    for (const { digest } of manifest.blobs) if (into.size < limit) into.add(digest);
    waiting.push(...manifest.manifests);
  }
}

/** Does not note the read: a decision about a manifest is no use of it. */
async function readManifest(store: BlobStore, { digest, mediaType }: TreeRoot): Promise<Manifest | undefined> {
  try {
    const stored = await store.open(digest);
    if (stored === undefined) return undefined;
    try {
      const bytes = stored.size > MAX_MANIFEST_BYTES ? undefined : await readWhole(stored);
      return bytes && (await inTurns(parseManifest(bytes, mediaType)));
    } finally {
      await stored.close();
    }
  } catch {
    return undefined;
  }
}

/** The bytes of a stored manifest; undefined where its file ends early. */
export async function readWhole(stored: StoredBlob): Promise<Buffer | undefined> {
  // Slow: a small manifest must not keep a whole piece of the shared pool in memory.
  const bytes = Buffer.allocUnsafeSlow(stored.size);
  for (let filled = 0; filled < bytes.length; ) {
    const count = await stored.read(bytes.subarray(filled), filled);
    if (count === 0) return undefined;
    filled += count;
  }
  return bytes;
}
