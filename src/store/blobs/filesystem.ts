import { close as closeCallback, constants, fstat as fstatCallback, open as openCallback, type Stats } from 'node:fs';
import { lstat, opendir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { type Digest, type DigestAlgorithm, parseDigest } from '../../oci/index.ts';
import { createDirectory, createDurableDirectories, DirectoryError, hasCode } from '../directory/index.ts';
import type { BlobStore, DirectFile, Ingestion, PartialStore, StoredBlob, UnknownFiles } from './blob-store.ts';
import { createIngestFile, markOf, removeFile, removePartialFiles } from './ingest-file.ts';
import { type Layout, layoutOf, QUARANTINED_NAME } from './layout.ts';
import { OpenFile } from './open-file.ts';
import { PartialFiles } from './partial-files.ts';
import { BlobPlaces } from './places.ts';
import { CACHE_TOP, findUnknownFiles, type Place } from './unknown-files.ts';

const open = promisify(openCallback);
const close = promisify(closeCallback);
const fstat = promisify(fstatCallback) as (descriptor: number) => Promise<Stats>;

export const ALGORITHMS: readonly DigestAlgorithm[] = ['sha256', 'sha512'];

/** The first two characters of a digest. */
const SHARD = /^[0-9a-f]{2}$/;

/**
 * How many corrupt blobs are kept for inspection, and how many bytes of them; the oldest are deleted first. Quarantined blobs
 * do not count towards the size of the cache, so a failing disk would fill itself.
 */
const QUARANTINE: QuarantineBounds = { files: 16, bytes: 2 * 1024 ** 3 };

/**
 * Opens the blob store in a directory, creating it if missing, and removes the partial files of a killed process. The caller
 * holds the directory's lock (`lockDirectory`).
 *
 * The cost does not grow with the number of blobs. Throws {@link DirectoryError} where the directory is unusable. Later disk
 * failures (ENOSPC, EIO) reject with the system's own errors.
 *
 * @param options `onUnknown` is told of files that this program did not create, now and later: it leaves them where they are,
 * or moves them aside, and never deletes one
 */
export async function openFilesystemBlobStore(
  directory: string,
  { onUnknown = () => {} }: { readonly onUnknown?: (message: string) => void } = {},
): Promise<BlobStore> {
  const layout = layoutOf(directory);
  await createDirectory(directory);
  try {
    const algorithms = ALGORITHMS.map((each) => layout.algorithm(each));
    await createDurableDirectories([layout.blobs, layout.ingest, layout.quarantine, ...algorithms]);
    const left = await removePartialFiles(layout.ingest);
    if (left > 0) {
      onUnknown(
        `${layout.ingest} holds files of another program (${left}), which are left there. Move them elsewhere.`,
      );
    }
  } catch (error) {
    throw new DirectoryError(directory, error);
  }
  const places = new BlobPlaces(layout, onUnknown);
  const partials = new PartialFiles(layout, (file, path, digest) => places.publish(file, path, digest));
  return new FilesystemBlobStore(directory, { layout, places, partials });
}

/** What a store in a directory is made of. */
export interface FilesystemStoreOptions {
  readonly layout: Layout;
  readonly places: BlobPlaces;
  /** @default `QUARANTINE` */
  readonly quarantine?: QuarantineBounds | undefined;
  /** What its directory may hold. @default what a cache directory may */
  readonly known?: Place | undefined;
  /** @default it keeps none */
  readonly partials?: PartialStore | undefined;
}

/** What is kept of corrupt blobs. */
interface QuarantineBounds {
  readonly files: number;
  readonly bytes: number;
}

export class FilesystemBlobStore implements BlobStore {
  readonly partials: PartialStore | undefined;
  readonly #directory: string;
  readonly #layout: Layout;
  readonly #places: BlobPlaces;
  readonly #quarantine: QuarantineBounds;
  readonly #known: Place;

  constructor(
    directory: string,
    { layout, places, quarantine = QUARANTINE, known = CACHE_TOP, partials }: FilesystemStoreOptions,
  ) {
    this.partials = partials;
    this.#directory = directory;
    this.#layout = layout;
    this.#places = places;
    this.#quarantine = quarantine;
    this.#known = known;
  }

  begin(): Promise<Ingestion> {
    return createIngestFile(this.#layout.newIngest(), (file, path, digest) => this.#places.publish(file, path, digest));
  }

  async open(digest: Digest): Promise<StoredBlob | undefined> {
    const descriptor = await openWithoutFollowing(this.#layout.blob(digest));
    if (descriptor === undefined) return undefined;
    const stats = await fstat(descriptor).catch(async (error: unknown) => {
      await close(descriptor);
      throw error;
    });
    if (stats.isFile()) return new BlobFile(new OpenFile(descriptor), stats);
    await close(descriptor);
    return undefined;
  }

  stat(digest: Digest): Promise<number | undefined> {
    return sizeOfFile(this.#layout.blob(digest));
  }

  async delete(digest: Digest): Promise<boolean> {
    const path = this.#layout.blob(digest);
    if ((await sizeOfFile(path)) === undefined) return false;
    // Not flushed: a power cut may undo it, but then the blob is still correct.
    return removeFile(path);
  }

  async quarantine(digest: Digest): Promise<void> {
    await this.#places.moveAside(digest);
    await this.#pruneQuarantine();
  }

  async *list(): AsyncIterable<{ readonly digest: Digest; readonly size: number }> {
    for (const algorithm of ALGORITHMS) {
      const root = this.#layout.algorithm(algorithm);
      for (const shard of await readdir(root, { withFileTypes: true })) {
        if (!shard.isDirectory()) continue;
        for await (const entry of await opendir(join(root, shard.name))) {
          const digest = parseDigest(`${algorithm}:${entry.name}`);
          // A file in the wrong shard could not be opened by its digest.
          if (digest === undefined || !entry.name.startsWith(shard.name)) continue;
          const size = await this.stat(digest);
          if (size !== undefined) yield { digest, size };
        }
      }
    }
  }

  async *listDigests(): AsyncIterable<readonly Digest[]> {
    for (const algorithm of ALGORITHMS) {
      const root = this.#layout.algorithm(algorithm);
      for (const shard of (await readdir(root)).sort()) {
        const digests = await digestsIn(join(root, shard), algorithm, shard);
        if (digests.length > 0) yield digests;
      }
    }
  }

  unknownFiles(): Promise<UnknownFiles> {
    return findUnknownFiles(this.#directory, this.#known);
  }

  /** Where the file of a digest lies, if it is stored. */
  pathOf(digest: Digest): string {
    return this.#layout.blob(digest);
  }

  async #pruneQuarantine(): Promise<void> {
    const directory = this.#layout.quarantine;
    const names = (await readdir(directory)).filter((name) => QUARANTINED_NAME.test(name));
    // ctime is the time of the quarantine; mtime is the time of the download.
    const found = names.map(async (name) => {
      const stats = await lstat(join(directory, name)).catch(() => undefined);
      // A directory or a link is another program's: it stays. Earlier releases moved them here.
      return stats?.isFile() === true ? [{ name, since: stats.ctimeMs, size: stats.size }] : [];
    });
    const latest = (await Promise.all(found)).flat().sort((a, b) => b.since - a.since);
    let kept = 0;
    let bytes = 0;
    for (const { name, size } of latest) {
      if (kept < this.#quarantine.files && bytes + size <= this.#quarantine.bytes) {
        kept += 1;
        bytes += size;
      } else {
        await removeFile(join(directory, name));
      }
    }
  }
}

class BlobFile implements StoredBlob {
  readonly size: number;
  readonly mark: string;
  readonly direct: DirectFile;
  readonly #file: OpenFile;

  constructor(file: OpenFile, stats: Stats) {
    this.#file = file;
    this.direct = file;
    this.size = stats.size;
    this.mark = markOf(stats);
  }

  read(target: Buffer, position: number): Promise<number> {
    return this.#file.read(target, position);
  }

  close(): Promise<void> {
    return this.#file.close();
  }
}

/** The digests in one shard directory, in order; none where it is no shard directory. */
async function digestsIn(directory: string, algorithm: DigestAlgorithm, shard: string): Promise<readonly Digest[]> {
  if (!SHARD.test(shard)) return [];
  const digests: Digest[] = [];
  try {
    for (const entry of await readdir(directory, { withFileTypes: true })) {
      if (!entry.isFile() || !entry.name.startsWith(shard)) continue;
      const digest = parseDigest(`${algorithm}:${entry.name}`);
      if (digest !== undefined) digests.push(digest);
    }
  } catch (error) {
    if (!hasCode(error, 'ENOENT', 'ENOTDIR')) throw error;
  }
  return digests.sort();
}

/** Opens a path that may hold anything, without following a link; undefined where it cannot be opened. */
async function openWithoutFollowing(path: string): Promise<number | undefined> {
  const { O_RDONLY, O_NOFOLLOW, O_NONBLOCK } = constants;
  try {
    // O_NONBLOCK has no effect on a regular file; without it, opening a named pipe would hold a thread until a writer comes.
    return await open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  } catch (error) {
    // ELOOP (EMLINK on FreeBSD): a link. ENXIO: a socket. ENOTDIR: a file in place of the shard directory.
    if (hasCode(error, 'ENOENT', 'ELOOP', 'EMLINK', 'ENXIO', 'ENOTDIR')) return undefined;
    throw error;
  }
}

async function sizeOfFile(path: string): Promise<number | undefined> {
  try {
    const stats = await lstat(path);
    return stats.isFile() ? stats.size : undefined;
  } catch (error) {
    if (hasCode(error, 'ENOENT', 'ENOTDIR')) return undefined;
    throw error;
  }
}
