import { platformFilter } from '../cache/index.ts';
import { abortable, type ConcurrencyLimit, inTurns } from '../lib/index.ts';
import {
  type Digest,
  isGenericType,
  isManifestType,
  isOriginFailure,
  type Manifest,
  type Platform,
  parseManifest,
  type Reference,
  type Repository,
} from '../oci/index.ts';
import { paused, WarmError } from './error.ts';
import { type FetchTools, fetchBlob } from './fetch-blob.ts';
import type { Progress } from './progress.ts';

export type { WarmCache } from './fetch-blob.ts';

/** An image to be fetched into the cache. */
export interface ImageToWarm {
  /** Completed: `docker.io/library/nginx:1.27`. */
  readonly text: string;
  readonly repository: Repository;
  readonly reference: Reference;
  /** `linux/amd64`; empty: all. */
  readonly platforms: readonly string[];
  /** True: the image fails where one of the platforms is missing. False: only where all of them are. */
  readonly needsEach: boolean;
}

interface ImageTools extends FetchTools {
  /** Where blobs of the registry wait for their turn. */
  readonly slots: ConcurrencyLimit;
}

/** Blobs of one image at once. A client pulls as many. */
const BLOBS_AT_ONCE = 3;
/** Manifests of one image. The largest indexes have about a hundred. */
const MAX_MANIFESTS = 1000;
/** Blobs of one image. */
const MAX_BLOBS = 20_000;
/** Platforms of an image that a message names. */
const MAX_NAMED = 10;

/**
 * Fetches an image into the cache: the manifest, of an index the manifests of its platforms, and all of their blobs. Of an
 * index, entries without a platform (attestations) are fetched with all platforms alone.
 *
 * Rejects with the failure of an upstream, an `OciError`, a `WarmError`, or the signal's reason.
 */
export async function fetchImage(image: ImageToWarm, progress: Progress, tools: ImageTools): Promise<void> {
  progress.restart();
  const { blobs, found, others } = await readManifests(image, progress, tools);
  await fetchBlobs(image.repository, blobs, { ...tools, progress });
  // Its manifests may be what is not stored; with `cache.tags: never` they never are.
  const { pause } = tools.cache;
  if (pause !== undefined && progress.bytes < progress.size) throw paused(pause.reason);
  if (found === undefined) return;
  const missing = image.platforms.filter((platform) => !found.has(platform));
  if (missing.length === 0 || (!image.needsEach && found.size > 0)) return;
  const rest = others.size > MAX_NAMED ? ` and ${others.size - MAX_NAMED} more` : '';
  const named = others.size === 0 ? 'no other platform' : `${[...others].slice(0, MAX_NAMED).join(', ')}${rest}`;
  throw new WarmError(`it has no image for ${missing.join(', ')}; it has ${named}`, { isPassing: false });
}

interface Contents {
  /** What is known of each blob. */
  readonly blobs: ReadonlyMap<Digest, BlobToFetch>;
  /** The wanted platforms that an index has; undefined where it has no index, or one without platforms. */
  readonly found: ReadonlySet<string> | undefined;
  /** The platforms of its indexes. */
  readonly others: ReadonlySet<string>;
}

interface BlobToFetch {
  /** Bytes; undefined where the manifest does not say. */
  readonly size: number | undefined;
  /** A layer that registries may leave to another server (image-spec, layer.md, non-distributable layers). */
  readonly isForeign: boolean;
}

async function readManifests(
  { repository, reference, platforms }: ImageToWarm,
  progress: Progress,
  { cache, origin, signal }: FetchTools,
): Promise<Contents> {
  const filters = platforms.map((text) => ({ text, fits: platformFilter([text]) }));
  const blobs = new Map<Digest, BlobToFetch>();
  const others = new Set<string>();
  let found: Set<string> | undefined;
  const seen = new Set<Digest>();
  const waiting: Reference[] = [reference];
  for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
    signal.throwIfAborted();
    const answer = await cache.manifest(repository, next, { origin, signal });
    const { digest, mediaType, bytes, outcome, warning } = answer;
    if (outcome === 'STALE') throw new WarmError(warning ?? 'the upstream does not answer', { isPassing: true });
    if (bytes === undefined) throw new TypeError('Cannot read a manifest without its bytes');
    if (seen.size === 0) progress.digest = digest;
    seen.add(digest);
    progress.size += bytes.length;
    if (outcome === 'MISS' || outcome === 'PASS') progress.addFetched(bytes.length);
    if ((await cache.storedSize(digest)) !== undefined) progress.stored(bytes.length);
    const manifest = await inTurns(parseManifest(bytes, mediaType));
    for (const blob of manifest.blobs) add(blobs, blob, progress);
    const { children, has } = choose(manifest, filters);
    if (has !== undefined) found = new Set([...(found ?? []), ...has]);
    for (const { platform } of manifest.manifests) if (isKnown(platform)) others.add(textOf(platform));
    for (const child of children) {
      if (!isManifestType(child.mediaType) && !isGenericType(child.mediaType)) add(blobs, child, progress);
      else if (!seen.has(child.digest)) {
        seen.add(child.digest);
        waiting.push({ kind: 'digest', digest: child.digest });
      }
    }
    if (seen.size > MAX_MANIFESTS || blobs.size > MAX_BLOBS) {
      throw new WarmError(`it has more than ${MAX_MANIFESTS} manifests or ${MAX_BLOBS} blobs`, { isPassing: false });
    }
  }
  return { blobs, found, others };
}

function add(blobs: Map<Digest, BlobToFetch>, descriptor: Manifest['blobs'][number], progress: Progress): void {
  const { digest, size, mediaType } = descriptor;
  if (blobs.has(digest)) return;
  blobs.set(digest, { size, isForeign: /foreign|nondistributable/.test(mediaType) });
  progress.size += size ?? 0;
  progress.blobCount += 1;
}

interface Filter {
  readonly text: string;
  readonly fits: (platform: Platform | undefined) => boolean;
}

/** The entries of an index to fetch. `has`: the wanted platforms that it has; undefined where it names no platform. */
function choose(
  { manifests }: Manifest,
  filters: readonly Filter[],
): { readonly children: Manifest['manifests']; readonly has: ReadonlySet<string> | undefined } {
  if (filters.length === 0 || !manifests.some(({ platform }) => isKnown(platform))) {
    return { children: manifests, has: undefined };
  }
  const has = new Set<string>();
  const children = manifests.filter(({ platform }) => {
    if (!isKnown(platform)) return false;
    const fitting = filters.filter(({ fits }) => fits(platform));
    for (const { text } of fitting) has.add(text);
    return fitting.length > 0;
  });
  return { children, has };
}

/** An attestation has the platform `unknown/unknown`. */
function isKnown(platform: Platform | undefined): platform is Platform {
  return platform !== undefined && platform.os !== 'unknown';
}

function textOf({ os, architecture, variant }: Platform): string {
  return [os, architecture, variant].filter(Boolean).join('/');
}

/** The first blob that fails lets those under way end, and no other begin. */
async function fetchBlobs(
  repository: Repository,
  blobs: ReadonlyMap<Digest, BlobToFetch>,
  tools: ImageTools & { readonly progress: Progress },
): Promise<void> {
  const { slots, signal, progress } = tools;
  const waiting = blobs.entries();
  const failures: unknown[] = [];
  async function work(): Promise<void> {
    // The iterator is shared: each blob is taken once.
    for (const [digest, { size, isForeign }] of waiting) {
      if (failures.length > 0) return;
      try {
        await inSlot(() => fetchBlob(repository, digest, tools), { slots, signal });
      } catch (error) {
        if (isForeign && isOriginFailure(error) && error.kind === 'not-found') progress.leaveOut(size ?? 0);
        else failures.push(error);
      }
    }
  }
  await Promise.all(Array.from({ length: BLOBS_AT_ONCE }, work));
  if (failures.length > 0) throw failures[0];
  signal.throwIfAborted();
}

/** Waits for a slot, and no longer than until the signal aborts; the slot then passes on. */
async function inSlot(
  work: () => Promise<void>,
  { slots, signal }: Pick<ImageTools, 'slots' | 'signal'>,
): Promise<void> {
  const begun = Promise.withResolvers<void>();
  const done = slots.run(async () => {
    begun.resolve();
    if (!signal.aborted) await work();
  });
  await abortable(begun.promise, signal);
  await done;
}
