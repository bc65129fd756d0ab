import { type Digest, MAX_MANIFEST_BYTES, type Manifest, parseManifest } from '../../oci/index.ts';
import type { BlobStore } from '../../store/index.ts';

/** Where a tree begins: what a tag points to. */
export interface TreeRoot {
  readonly digest: Digest;
  readonly mediaType: string;
}

export interface TreeOptions {
  readonly store: BlobStore;
  /** Receives every digest of the tree. Trees of digests that are in it already are not walked again. */
  readonly into: Set<Digest>;
  /** The most digests in it; what lies beyond is left out. */
  readonly limit: number;
}

/**
 * Adds a manifest and everything it names, as far down as the manifests are stored here. What cannot be read or is no
 * manifest names nothing: nobody is served from this.
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

/** Reads without noting it: looking at a manifest to decide about it is no use of it. */
async function readManifest(store: BlobStore, { digest, mediaType }: TreeRoot): Promise<Manifest | undefined> {
  try {
    const stored = await store.open(digest);
    if (stored === undefined) return undefined;
    try {
      if (stored.size > MAX_MANIFEST_BYTES) return undefined;
      const bytes = Buffer.allocUnsafe(stored.size);
      for (let filled = 0; filled < bytes.length; ) {
        const count = await stored.read(bytes.subarray(filled), filled);
        if (count === 0) return undefined;
        filled += count;
      }
      return parseManifest(bytes, mediaType);
    } finally {
      await stored.close();
    }
  } catch {
    return undefined;
  }
}
