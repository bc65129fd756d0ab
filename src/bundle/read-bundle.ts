import { inTurns } from '../lib/index.ts';
import {
  type Digest,
  type DigestAlgorithm,
  Digester,
  digestAlgorithm,
  digestOf,
  isGenericType,
  isManifestType,
  OciError,
  parseManifest,
  type Reference,
  type Repository,
  type Visibility,
} from '../oci/index.ts';
import { parseFile } from './earlier.ts';
import { BundleError } from './error.ts';
import {
  type BundleEntry,
  DELTA_FILE,
  digestOfPath,
  INDEX_FILE,
  LAYOUT_FILE,
  MAX_FILE_BYTES,
  parseDelta,
  parseIndex,
  parseSeal,
  SEAL_FILE,
} from './layout.ts';
import { readTar, type TarEntry } from './tar-reader.ts';

/** A blob on its way into the store. */
export interface ImportSink {
  append(bytes: Buffer): Promise<void>;
  /** Publishes it; undefined where it is not kept. The bytes have the digest. */
  commit(digest: Digest): Promise<number | undefined>;
  /** Nothing of it stays. */
  drop(): Promise<void>;
}

/** A manifest that an imported image has. */
export interface ImportedManifest {
  readonly digest: Digest;
  readonly mediaType: string;
  readonly bytes: Buffer;
  readonly visibility: Visibility;
}

/** Where a bundle is imported into. */
export interface ImportTarget {
  /** What a name means here. @throws {OciError} where it may not be imported */
  resolve(name: string): { readonly text: string; readonly repository: Repository; readonly reference: Reference };
  /** Bytes of a stored blob; undefined where it is not stored. */
  storedSize(digest: Digest): Promise<number | undefined>;
  /** Undefined where nothing is kept now. */
  begin(algorithm: DigestAlgorithm): ImportSink | undefined;
  /** Keeps a digest from being evicted until the end of the import. */
  hold(digest: Digest): void;
  /** The verified bytes of a stored manifest; undefined where it is not stored. */
  manifest(digest: Digest): Promise<Buffer | undefined>;
  /** Records what a repository has. */
  record(repository: Repository, manifest: ImportedManifest, isTagged: boolean): Promise<void>;
  /**
   * Records where a tag points, unless it was confirmed later than that.
   *
   * @returns `moved`; `unchanged`: it points there already; `newer`: it was confirmed later, and stays
   */
  tag(
    repository: Repository,
    tag: string,
    manifest: ImportedManifest & { readonly confirmedAt: number },
  ): Promise<'moved' | 'unchanged' | 'newer'>;
  readonly now: () => number;
}

/** What became of one image. */
export interface ImportedImage {
  /** As the bundle has it; a referrer by its digest. */
  readonly image: string;
  readonly digest: Digest;
  readonly outcome: 'imported' | 'unchanged' | 'newer' | 'refused';
  /** Why it was refused. */
  readonly reason?: string;
}

export interface ImportReport {
  readonly images: readonly ImportedImage[];
  /** Blobs that were stored now, and their bytes. */
  readonly blobs: number;
  readonly bytes: number;
  /** Blobs that were stored before. */
  readonly present: number;
  /** Blobs whose bytes have another digest. */
  readonly damaged: readonly Digest[];
}

/**
 * Imports a bundle out of the stream of a tar archive. Blobs are hashed and stored as they come; images are recorded at the end, each only where
 * all that it needs is stored. A path in the archive is compared, and is never used as a path.
 *
 * @throws {BundleError} where the archive is no bundle or ends early: then no image was recorded
 */
export async function importBundle(chunks: AsyncIterable<Buffer>, target: ImportTarget): Promise<ImportReport> {
  const importing = new Importing(target);
  for await (const entry of readTar(chunks)) await importing.take(entry);
  return await importing.finish();
}

/** Damaged digests that are named; all are counted against their images. */
const MAX_DAMAGED = 1000;

class Importing {
  readonly #target: ImportTarget;
  readonly #damaged = new Set<Digest>();
  #index: Buffer | undefined;
  /** The digest that the index has to have; undefined in a bundle of another program. */
  #seal: Digest | undefined;
  #omitted: ReadonlySet<Digest> = new Set();
  #hasLayout = false;
  #blobs = 0;
  #bytes = 0;
  #present = 0;
  #isKept = true;

  constructor(target: ImportTarget) {
    this.#target = target;
  }

  async take(entry: TarEntry): Promise<void> {
    const path = entry.path.replace(/^\.\//, '');
    if (entry.kind === 'directory') return;
    if (entry.kind === 'other') {
      throw new BundleError('it has a link or a device among its files; a bundle has files alone');
    }
    const digest = digestOfPath(path);
    if (digest !== undefined) return this.#blob(digest, entry);
    if (path === LAYOUT_FILE) {
      await readWhole(entry, LAYOUT_FILE);
      this.#hasLayout = true;
    } else if (path === INDEX_FILE) this.#index = await readWhole(entry, INDEX_FILE);
    else if (path === SEAL_FILE) this.#seal = parseSeal(parseFile(await readWhole(entry, SEAL_FILE), SEAL_FILE));
    else if (path === DELTA_FILE) {
      this.#omitted = new Set(parseDelta(parseFile(await readWhole(entry, DELTA_FILE), DELTA_FILE)));
    }
    // Files of other programs (docker's manifest.json) are passed over.
  }

  async #blob(digest: Digest, { size, content }: TarEntry): Promise<void> {
    const target = this.#target;
    target.hold(digest);
    if ((await target.storedSize(digest)) === size) {
      this.#present += 1;
      return;
    }
    const sink = target.begin(digestAlgorithm(digest));
    if (sink === undefined) {
      this.#isKept = false;
      return;
    }
    try {
      const digester = new Digester(digestAlgorithm(digest));
      for await (const chunk of content()) {
        digester.update(chunk);
        await sink.append(chunk);
      }
      if (digester.digest() !== digest) {
        this.#damaged.add(digest);
        return;
      }
      if ((await sink.commit(digest)) === undefined) {
        this.#isKept = false;
        return;
      }
      this.#blobs += 1;
      this.#bytes += size;
    } finally {
      await sink.drop();
    }
  }

  async finish(): Promise<ImportReport> {
    if (!this.#hasLayout || this.#index === undefined) {
      throw new BundleError(`it has no ${this.#hasLayout ? INDEX_FILE : LAYOUT_FILE}, expected an OCI image layout`);
    }
    if (this.#seal !== undefined && digestOf(this.#index, digestAlgorithm(this.#seal)) !== this.#seal) {
      throw new BundleError(`its ${INDEX_FILE} is damaged: its bytes have another digest; copy or export it again`);
    }
    const images: ImportedImage[] = [];
    for (const entry of parseIndex(parseFile(this.#index, INDEX_FILE))) images.push(await this.#image(entry));
    return {
      images,
      blobs: this.#blobs,
      bytes: this.#bytes,
      present: this.#present,
      damaged: [...this.#damaged].slice(0, MAX_DAMAGED),
    };
  }

  async #image(entry: BundleEntry): Promise<ImportedImage> {
    const { digest, name, repository } = entry;
    const full = name ?? (repository === undefined ? undefined : `${repository}@${digest}`);
    const image = full ?? digest;
    try {
      if (full === undefined) {
        throw new BundleError(
          'it has no full name; export it with one (io.containerd.image.name or org.opencontainers.image.ref.name, such as docker.io/library/nginx:1.27)',
        );
      }
      return { image, digest, outcome: await this.#record(full, entry) };
    } catch (error) {
      if (!(error instanceof BundleError) && !(error instanceof OciError)) throw error;
      return { image, digest, outcome: 'refused', reason: error.message };
    }
  }

  async #record(name: string, entry: BundleEntry): Promise<'imported' | 'unchanged' | 'newer'> {
    const target = this.#target;
    const { repository, reference } = target.resolve(name);
    if (reference.kind === 'digest' && reference.digest !== entry.digest) {
      throw new BundleError(`its name has another digest than its entry, ${entry.digest}`);
    }
    const [root, ...children] = await this.#manifestsOf(entry);
    if (root === undefined) throw this.#lacks(entry.digest);
    // First what names the others; the tag last: before it, nothing leads to them.
    await target.record(repository, root, reference.kind === 'tag');
    for (const child of children) await target.record(repository, child, false);
    if (reference.kind === 'digest') return 'imported';
    const confirmedAt = Math.min(entry.confirmedAt ?? target.now(), target.now());
    const outcome = await target.tag(repository, reference.tag, { ...root, confirmedAt });
    return outcome === 'moved' ? 'imported' : outcome;
  }

  /** The manifests of an image, the first one first. @throws {BundleError} where something that it needs is not stored */
  async #manifestsOf({ digest, mediaType, visibility }: BundleEntry): Promise<readonly ImportedManifest[]> {
    const found = new Map<Digest, ImportedManifest>();
    const waiting = [{ digest, mediaType, isRoot: true }];
    let whole = 0;
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      if (found.has(next.digest)) continue;
      this.#refuseDamaged(next.digest);
      this.#target.hold(next.digest);
      const bytes = await this.#target.manifest(next.digest);
      if (bytes === undefined) {
        // Of an index, only the wanted platforms are carried.
        if (next.isRoot) throw this.#lacks(next.digest);
        continue;
      }
      const manifest = await inTurns(parseManifest(bytes, next.mediaType));
      found.set(next.digest, { digest: next.digest, mediaType: next.mediaType, bytes, visibility });
      for (const blob of manifest.blobs) {
        const isForeign = /foreign|nondistributable/.test(blob.mediaType);
        await this.#requireBlob(blob.digest, isForeign);
      }
      if (manifest.manifests.length === 0) whole += 1;
      for (const child of manifest.manifests) {
        if (isManifestType(child.mediaType) || isGenericType(child.mediaType)) {
          waiting.push({ digest: child.digest, mediaType: child.mediaType, isRoot: false });
        } else await this.#requireBlob(child.digest, true);
      }
    }
    if (whole === 0) throw new BundleError('the bundle has none of its platforms; export it with --platform');
    return [...found.values()];
  }

  async #requireBlob(digest: Digest, isOptional: boolean): Promise<void> {
    this.#refuseDamaged(digest);
    this.#target.hold(digest);
    if ((await this.#target.storedSize(digest)) === undefined && !isOptional) throw this.#lacks(digest);
  }

  #refuseDamaged(digest: Digest): void {
    if (!this.#damaged.has(digest)) return;
    throw new BundleError(`${digest} is damaged in the bundle: its bytes have another digest; copy or export it again`);
  }

  #lacks(digest: Digest): BundleError {
    const { size } = this.#omitted;
    if (size > 0 && this.#omitted.has(digest)) {
      return new BundleError(
        `${digest} is neither in the bundle nor here: it is in the earlier bundle; import that one first`,
      );
    }
    return new BundleError(
      this.#isKept
        ? `${digest} is neither in the bundle nor here; export the image again`
        : `${digest} was not kept: the cache is full, or keeps nothing (see \`entrepot status\`); make room, and repeat the command`,
    );
  }
}

async function readWhole({ size, content }: TarEntry, name: string): Promise<Buffer> {
  if (size > MAX_FILE_BYTES) throw new BundleError(`its ${name} has more than ${MAX_FILE_BYTES / 1024 / 1024} MiB`);
  const parts: Buffer[] = [];
  for await (const part of content()) parts.push(Buffer.from(part));
  return Buffer.concat(parts);
}
