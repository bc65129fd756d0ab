import type { TransferSlots } from '../jobs/index.ts';
import { inTurns } from '../lib/index.ts';
import { type Digest, type Reference, readPushedManifest } from '../oci/index.ts';
import { isAbsent, orAbsent } from './absent.ts';
import type { CopyDestination, Referrer } from './destination.ts';
import type { CopyProgress } from './progress.ts';
import type { CopiedManifest, CopySource } from './source.ts';
import { type CopiedBlob, Tree } from './tree.ts';

export interface CopyTools {
  readonly source: CopySource;
  readonly destination: CopyDestination;
  /** Where blobs wait for their turn. */
  readonly slots: TransferSlots;
  readonly signal: AbortSignal;
}

/** What one copy is of. */
export interface CopyWanted {
  readonly from: Reference;
  readonly to: Reference;
  /** `linux/amd64`; empty: all. */
  readonly platforms: readonly string[];
}

/** Blobs of one image at once. A client pushes as many. */
const BLOBS_AT_ONCE = 3;
/** Signatures of signatures. */
const MAX_DEPTH = 3;
/** What cosign hangs on an image by a tag: `sha256-….sig`. */
const SUFFIXES = ['.sig', '.att', '.sbom'] as const;
const ATTACHED_TAG = /^sha256-[0-9a-f]{64}\.(?:sig|att|sbom)$/;

/**
 * Copies an image with all of its platforms, referrers and signatures, or with the platforms that are wanted. Blobs go before
 * manifests, children before their index, and the tag last: once it is there, everything is. What the destination has is not sent.
 *
 * Rejects with the failure of an upstream, an `OciError`, a `TaskError`, or the signal's reason.
 */
export async function copyImage(wanted: CopyWanted, progress: CopyProgress, tools: CopyTools): Promise<void> {
  const { source, destination, signal } = tools;
  progress.restart();
  const tree = new Tree(source, signal);
  const root = await tree.add(wanted.from, wanted.platforms);
  progress.digest = root.digest;
  const isAttached = wanted.from.kind === 'tag' && ATTACHED_TAG.test(wanted.from.tag);
  const attached = isAttached ? NOTHING : await attachedTo(tree, tools);
  for (const { bytes } of tree.manifests.values()) progress.size += bytes.length;
  for (const { size } of tree.blobs.values()) progress.size += size ?? 0;
  progress.blobCount = tree.blobs.size;
  await sendBlobs(tree.blobs, { ...tools, progress });
  for (const manifest of tree.manifests.values()) {
    if (manifest.digest !== root.digest)
      await put({ kind: 'digest', digest: manifest.digest }, manifest, progress, tools);
  }
  for (const [subject, referrers] of attached.referrers) {
    progress.sent += await destination.listReferrers(subject, referrers, signal);
  }
  for (const [tag, manifest] of attached.tags) await put({ kind: 'tag', tag }, manifest, progress, tools, MOVED);
  await put(wanted.to, root, progress, tools);
}

interface Attached {
  readonly referrers: ReadonlyMap<Digest, readonly Referrer[]>;
  readonly tags: ReadonlyMap<string, CopiedManifest>;
}

const NOTHING: Attached = { referrers: new Map(), tags: new Map() };

/** Adds to an image what hangs on it: what refers to its manifests, and cosign's tags. */
async function attachedTo(tree: Tree, { source, signal }: CopyTools): Promise<Attached> {
  const referrers = new Map<Digest, readonly Referrer[]>();
  const tags = new Map<string, CopiedManifest>();
  let subjects = [...tree.manifests.keys()];
  for (let depth = 0; depth < MAX_DEPTH && subjects.length > 0; depth += 1) {
    const before = new Set(tree.manifests.keys());
    for (const subject of subjects) {
      signal.throwIfAborted();
      const found: Referrer[] = [];
      for (const digest of await source.referrers(subject, signal)) {
        // A list may name what its registry has collected.
        const manifest = await orAbsent(tree.add({ kind: 'digest', digest }));
        if (manifest !== undefined) found.push(await referrerOf(manifest));
      }
      if (found.length > 0) referrers.set(subject, found);
      for (const suffix of SUFFIXES) {
        const tag = `${subject.replace(':', '-')}${suffix}`;
        if (tag.length > MAX_TAG || (await source.find(tag, signal)) === undefined) continue;
        tags.set(tag, await tree.add({ kind: 'tag', tag }));
      }
    }
    subjects = [...tree.manifests.keys()].filter((digest) => !before.has(digest));
  }
  return { referrers, tags };
}

/** Characters of a tag. */
const MAX_TAG = 128;

async function referrerOf({ digest, mediaType, bytes }: CopiedManifest): Promise<Referrer> {
  const { artifactType, annotations } = await inTurns(readPushedManifest(bytes, mediaType));
  return {
    mediaType,
    digest,
    size: bytes.length,
    ...(artifactType === undefined ? {} : { artifactType }),
    ...(annotations === undefined ? {} : { annotations }),
  };
}

const MOVED = { isCounted: false } as const;

async function put(
  reference: Reference,
  manifest: CopiedManifest,
  progress: CopyProgress,
  { destination, signal }: CopyTools,
  { isCounted }: { readonly isCounted: boolean } = { isCounted: true },
): Promise<void> {
  signal.throwIfAborted();
  const { digest, bytes } = manifest;
  if ((await destination.find(reference, signal)) !== digest) {
    await destination.putManifest(reference, manifest, signal);
    progress.sent += bytes.length;
    progress.manifests += 1;
  }
  if (isCounted) progress.bytes += bytes.length;
}

type BlobTools = CopyTools & { readonly progress: CopyProgress };

/** The first blob that fails lets those under way end, and no other begin. */
async function sendBlobs(blobs: ReadonlyMap<Digest, CopiedBlob>, tools: BlobTools): Promise<void> {
  const { source, destination, slots, signal } = tools;
  const { registry } = destination;
  const registries = [
    ...(source.isHosted ? [] : [source.repository.registry]),
    ...(registry === undefined ? [] : [registry]),
  ];
  const waiting = blobs.values();
  const failures: unknown[] = [];
  async function work(): Promise<void> {
    // The iterator is shared: each blob is taken once.
    for (const blob of waiting) {
      if (failures.length > 0) return;
      try {
        await slots.runInAll(registries, () => sendBlob(blob, tools), signal);
      } catch (error) {
        failures.push(error);
      }
    }
  }
  await Promise.all(Array.from({ length: BLOBS_AT_ONCE }, work));
  if (failures.length > 0) throw failures[0];
  signal.throwIfAborted();
}

async function sendBlob({ digest, size, isForeign }: CopiedBlob, { source, destination, progress, signal }: BlobTools) {
  signal.throwIfAborted();
  if (await destination.hasBlob(digest, size, signal)) {
    progress.skipped += 1;
    progress.blobs += 1;
    progress.bytes += size ?? 0;
    return;
  }
  let sent = 0;
  const onBytes = (count: number): void => {
    sent += count;
    progress.sent += count;
    progress.bytes += count;
  };
  const open = () => source.blob(digest, signal);
  try {
    const how = await destination.sendBlob({ digest, size, source, open, onBytes, signal });
    if (how === 'mounted') {
      progress.mounted += 1;
      progress.bytes += size ?? 0;
    }
    progress.blobs += 1;
  } catch (error) {
    progress.bytes -= sent;
    if (!isForeign || !isAbsent(error)) throw error;
    progress.size -= size ?? 0;
    progress.blobCount -= 1;
  }
}
