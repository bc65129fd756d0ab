import { platformFilter } from '../cache/index.ts';
import { TaskError } from '../jobs/index.ts';
import { inTurns } from '../lib/index.ts';
import {
  type Descriptor,
  type Digest,
  isGenericType,
  isManifestType,
  type Platform,
  parseManifest,
  type Reference,
} from '../oci/index.ts';
import type { CopiedManifest, CopySource } from './source.ts';

/** Manifests of one image, with its signatures. The largest indexes have about a hundred. */
const MAX_MANIFESTS = 1000;
/** Bytes of them, which are held until the image is copied. */
const MAX_MANIFEST_BYTES = 64 * 1024 * 1024;
/** Blobs of one image. */
const MAX_BLOBS = 20_000;
/** Indexes within indexes. */
const MAX_DEPTH = 8;

/** A blob of an image. */
export interface CopiedBlob {
  readonly digest: Digest;
  readonly size: number | undefined;
  /** A layer that registries may leave to another server (image-spec, layer.md, non-distributable layers). */
  readonly isForeign: boolean;
}

/** What an image is made of: each manifest and blob once. */
export class Tree {
  /** Children before the index that names them. */
  readonly manifests = new Map<Digest, CopiedManifest>();
  readonly blobs = new Map<Digest, CopiedBlob>();
  readonly #source: CopySource;
  readonly #signal: AbortSignal;
  readonly #seen = new Set<Digest>();
  #bytes = 0;

  constructor(source: CopySource, signal: AbortSignal) {
    this.#source = source;
    this.#signal = signal;
  }

  /**
   * Adds a manifest and all that it names.
   *
   * @param platforms those of an index that are wanted; empty: all
   * @returns the manifest to copy: where one image alone of an index is wanted, that image
   * @throws {TaskError} where a platform is missing, or it is too large
   */
  async add(reference: Reference, platforms: readonly string[] = []): Promise<CopiedManifest> {
    const manifest = await this.#source.manifest(reference, this.#signal);
    const { manifests: entries } = await inTurns(parseManifest(manifest.bytes, manifest.mediaType));
    const wanted = platforms.length === 0 ? entries : choose(entries, platforms);
    const [only] = wanted;
    const isPart = wanted.length < entries.length;
    if (isPart && wanted.length === 1 && only !== undefined) return this.add({ kind: 'digest', digest: only.digest });
    await this.#take(manifest, isPart ? wanted : undefined, 0);
    return manifest;
  }

  async #take(manifest: CopiedManifest, chosen: readonly Descriptor[] | undefined, depth: number): Promise<void> {
    const { digest, bytes, mediaType } = manifest;
    if (this.#seen.has(digest)) return;
    this.#seen.add(digest);
    this.#bytes += bytes.length;
    const { blobs, manifests } = await inTurns(parseManifest(bytes, mediaType));
    for (const blob of blobs) this.#addBlob(blob);
    if (this.#seen.size > MAX_MANIFESTS || this.#bytes > MAX_MANIFEST_BYTES || this.blobs.size > MAX_BLOBS) {
      const limits = `${MAX_MANIFESTS} manifests, ${MAX_MANIFEST_BYTES / 2 ** 20} MiB of them, or ${MAX_BLOBS} blobs`;
      throw new TaskError(`it has more than ${limits}`, { isPassing: false });
    }
    if (depth > MAX_DEPTH)
      throw new TaskError(`it has indexes within more than ${MAX_DEPTH} indexes`, { isPassing: false });
    for (const child of chosen ?? manifests) {
      this.#signal.throwIfAborted();
      // BuildKit's caches are indexes that list blobs.
      if (!isManifestType(child.mediaType) && !isGenericType(child.mediaType)) this.#addBlob(child);
      else if (!this.#seen.has(child.digest)) {
        const found = await this.#source.manifest({ kind: 'digest', digest: child.digest }, this.#signal);
        await this.#take(found, undefined, depth + 1);
      }
    }
    this.manifests.set(digest, manifest);
  }

  #addBlob({ digest, size, mediaType }: Descriptor): void {
    if (this.blobs.has(digest)) return;
    this.blobs.set(digest, { digest, size, isForeign: /foreign|nondistributable/.test(mediaType) });
  }
}

/** The entries of an index for platforms. @throws {TaskError} where one of them is missing */
function choose(entries: readonly Descriptor[], platforms: readonly string[]): readonly Descriptor[] {
  const named = entries.filter(({ platform }) => isKnown(platform));
  // One image, or an index that names no platform.
  if (named.length === 0) return entries;
  const missing = platforms.filter((text) => !named.some(({ platform }) => platformFilter([text])(platform)));
  if (missing.length > 0) {
    const has = [...new Set(named.map(({ platform }) => textOf(platform)))].slice(0, MAX_NAMED).join(', ');
    throw new TaskError(`it has no image for ${missing.join(', ')}; it has ${has}`, { isPassing: false });
  }
  const fits = platformFilter(platforms);
  return named.filter(({ platform }) => fits(platform));
}

/** Platforms that a message names. */
const MAX_NAMED = 10;

/** An attestation has the platform `unknown/unknown`. */
function isKnown(platform: Platform | undefined): boolean {
  return platform !== undefined && platform.os !== 'unknown';
}

function textOf(platform: Platform | undefined): string {
  return [platform?.os, platform?.architecture, platform?.variant].filter(Boolean).join('/');
}
