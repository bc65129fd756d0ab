import { setImmediate as nextTurn } from 'node:timers/promises';
import type { CompiledPolicy } from '../cache/index.ts';
import { PIECE } from '../lib/index.ts';
import type { Digest, Repository } from '../oci/index.ts';
import { type Budget, type ManifestParts, type ManifestReader, platformText } from './parts.ts';
import type { Root, Shelf } from './shelf.ts';

/** How much of an image is here. */
export interface Measured {
  /** Whether the manifest itself is stored. */
  readonly stored: boolean;
  /** Whether every byte below it is stored too, but for platforms that are not kept. */
  readonly complete: boolean;
  /** Bytes of all that it names, each digest once; undefined where not all of them are known. */
  readonly bytes: number | undefined;
  readonly storedBytes: number;
  /** All that it names, stored or not. */
  readonly platforms: readonly string[];
  /** Those of them that are stored whole. */
  readonly storedPlatforms: readonly string[];
}

interface MeasureOptions {
  readonly shelf: Shelf;
  readonly repository: Repository;
  readonly reader: ManifestReader;
  readonly keepsPlatform: CompiledPolicy['keepsPlatform'];
  readonly budget: Budget;
}

/** Digests of one image that are looked at. */
const MAX_DIGESTS = 10_000;

/** Indexes within indexes that are looked into. */
const MAX_DEPTH = 4;

/** Platforms that are listed of one image. */
const MAX_PLATFORMS = 200;

/** Sizes of one answer in memory: tags of a repository share most of their layers. */
const MAX_SIZES = 100_000;

/** The sums of one walk. */
interface Sums {
  readonly seen: Set<Digest>;
  readonly platforms: Set<string>;
  readonly storedPlatforms: Set<string>;
  bytes: number | undefined;
  storedBytes: number;
}

/** Measures images of one repository, for one answer. */
export class Measure {
  readonly #options: MeasureOptions;
  readonly #sizes = new Map<Digest, number | undefined>();
  #looks = 0;

  constructor(options: MeasureOptions) {
    this.#options = options;
  }

  /** Bytes of what is stored under a digest; undefined where nothing is. */
  async storedSize(digest: Digest): Promise<number | undefined> {
    if (this.#sizes.has(digest)) return this.#sizes.get(digest);
    const { shelf, repository } = this.#options;
    this.#looks += 1;
    // Each look-up holds the event loop.
    if (this.#looks % PIECE === 0) await nextTurn();
    const size = await shelf.storedSize(repository, digest);
    if (this.#sizes.size < MAX_SIZES) this.#sizes.set(digest, size);
    return size;
  }

  /** What a manifest names; undefined where it is not stored or cannot be read. */
  async parts({ digest, mediaType }: Pick<Root, 'digest' | 'mediaType'>): Promise<ManifestParts | undefined> {
    const { shelf, repository, reader, budget } = this.#options;
    if ((await this.storedSize(digest)) === undefined) return undefined;
    return reader.parts(shelf, repository, { digest, mediaType, budget });
  }

  async image(root: Root): Promise<Measured> {
    const sums: Sums = { seen: new Set(), platforms: new Set(), storedPlatforms: new Set(), bytes: 0, storedBytes: 0 };
    const complete = await this.#walk(root, sums, 0);
    const stored = (await this.storedSize(root.digest)) !== undefined;
    const platforms = [...sums.platforms].slice(0, MAX_PLATFORMS);
    const storedPlatforms = platforms.filter((each) => sums.storedPlatforms.has(each));
    return { stored, complete, bytes: sums.bytes, storedBytes: sums.storedBytes, platforms, storedPlatforms };
  }

  /** Whether all below it is stored. */
  async #walk(root: Root, sums: Sums, depth: number): Promise<boolean> {
    const stored = await this.#count(root, sums);
    if (!stored || depth > MAX_DEPTH || sums.seen.size > MAX_DIGESTS) return lacking(sums);
    const parts = await this.parts(root);
    if (parts === undefined) return lacking(sums);
    let complete = true;
    for (const blob of parts.blobs) {
      if (sums.seen.size > MAX_DIGESTS) return lacking(sums);
      complete = (await this.#count(blob, sums)) && complete;
    }
    for (const child of parts.children) {
      const platform = platformText(child.platform);
      if (platform !== undefined) sums.platforms.add(platform);
      const isWanted =
        this.#options.keepsPlatform(child.platform) || (await this.storedSize(child.digest)) !== undefined;
      // What is not kept is neither missing nor part of the size.
      if (!isWanted) continue;
      const isWhole = await this.#walk(child, sums, depth + 1);
      if (isWhole && platform !== undefined) sums.storedPlatforms.add(platform);
      complete = (isWhole || !this.#options.keepsPlatform(child.platform)) && complete;
    }
    if (parts.config !== undefined && depth === 0) await this.#addPlatform(parts.config, { sums, complete });
    return complete;
  }

  /** Adds a digest once. Whether it is stored. */
  async #count({ digest, size }: { readonly digest: Digest; readonly size: number | undefined }, sums: Sums) {
    const stored = await this.storedSize(digest);
    if (sums.seen.has(digest)) return stored !== undefined;
    sums.seen.add(digest);
    const bytes = stored ?? size;
    if (bytes === undefined) sums.bytes = undefined;
    else if (sums.bytes !== undefined) sums.bytes += bytes;
    sums.storedBytes += stored ?? 0;
    return stored !== undefined;
  }

  async #addPlatform(
    config: Digest,
    { sums, complete }: { readonly sums: Sums; readonly complete: boolean },
  ): Promise<void> {
    const { shelf, repository, reader, budget } = this.#options;
    if ((await this.storedSize(config)) === undefined) return;
    const platform = platformText((await reader.facts(shelf, repository, { digest: config, budget }))?.platform);
    if (platform === undefined) return;
    sums.platforms.add(platform);
    if (complete) sums.storedPlatforms.add(platform);
  }
}

/** More belongs to the image than can be counted. */
function lacking(sums: Sums): false {
  sums.bytes = undefined;
  return false;
}
