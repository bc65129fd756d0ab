import { close as closeCallback, constants, fstat as fstatCallback, open as openCallback, type Stats } from 'node:fs';
import { chmod, lstat, opendir, readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { ConcurrencyLimit, crashPoint, SingleFlight } from '../../lib/index.ts';
import { type Digest, type DigestAlgorithm, parseDigest } from '../../oci/index.ts';
import {
  createDirectory,
  createDurableDirectory,
  DirectoryError,
  flushDirectory,
  hasCode,
} from '../directory/index.ts';
import type { BlobStore, DirectFile, Ingestion, StoredBlob } from './blob-store.ts';
import { createIngestFile, markOf, removeFile, removeLeftOvers } from './ingest-file.ts';
import { type Layout, layoutOf } from './layout.ts';
import { OpenFile } from './open-file.ts';

const open = promisify(openCallback);
const close = promisify(closeCallback);
const fstat = promisify(fstatCallback) as (descriptor: number) => Promise<Stats>;

const ALGORITHMS: readonly DigestAlgorithm[] = ['sha256', 'sha512'];

/** The first two characters of a digest. */
const SHARD = /^[0-9a-f]{2}$/;

/**
 * How many wrong blobs are kept for inspection, and how many bytes of them; the oldest makes room. A rotting disk must not
 * fill itself, and what lies there counts towards no limit of the cache.
 */
const QUARANTINE_LIMIT = 16;
const QUARANTINE_BYTES = 2 * 1024 ** 3;

/**
 * How many flushes run at once. A flush of a large layer holds a thread of libuv's pool for seconds, and the pool has
 * four: the others stay free for readers.
 */
const FLUSH_LIMIT = 2;

/**
 * Opens the store of blobs in a directory, creating it where there is none, and removes what a killed process left
 * half-written. The caller holds the directory's lock (`lockDirectory`).
 *
 * The cost does not grow with what is stored. Throws {@link DirectoryError} where the directory cannot be used; later
 * failures of the disk (ENOSPC, EIO) are passed on as the system's own errors.
 */
export async function openFilesystemBlobStore(directory: string): Promise<BlobStore> {
  const layout = layoutOf(directory);
  await createDirectory(directory);
  try {
    for (const each of [layout.blobs, layout.ingest, layout.quarantine]) await createDurableDirectory(each);
    for (const each of ALGORITHMS) await createDurableDirectory(layout.algorithm(each));
    await removeLeftOvers(layout.ingest);
  } catch (error) {
    throw new DirectoryError(directory, error);
  }
  return new FilesystemBlobStore(layout);
}

class FilesystemBlobStore implements BlobStore {
  readonly #layout: Layout;
  readonly #flushes = new ConcurrencyLimit(FLUSH_LIMIT);
  readonly #shardsUnderWay = new SingleFlight<void>();
  /** Shard directories known to be on the disk; at most 512. */
  readonly #shards = new Set<string>();

  constructor(layout: Layout) {
    this.#layout = layout;
  }

  begin(): Promise<Ingestion> {
    return createIngestFile(this.#layout.newIngest(), (file, path, digest) => this.#publish(file, path, digest));
  }

  async open(digest: Digest): Promise<StoredBlob | undefined> {
    const descriptor = await openPlanted(this.#layout.blob(digest));
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
    // Not flushed: where a power cut undoes it, a blob that is still right is back.
    return removeFile(path);
  }

  async quarantine(digest: Digest): Promise<void> {
    await this.#moveAside(digest);
    await this.#pruneQuarantine();
  }

  async *list(): AsyncIterable<{ readonly digest: Digest; readonly size: number }> {
    for (const algorithm of ALGORITHMS) {
      const root = this.#layout.algorithm(algorithm);
      for (const shard of await readdir(root, { withFileTypes: true })) {
        if (!shard.isDirectory()) continue;
        for await (const entry of await opendir(join(root, shard.name))) {
          const digest = parseDigest(`${algorithm}:${entry.name}`);
          // What lies in the wrong directory cannot be opened by its digest either.
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

  /*
   * The order is what makes it safe against a power cut at any line: the data is on the disk before a name leads to it,
   * and the name is on the disk before anyone is told.
   */
  async #publish(file: OpenFile, path: string, digest: Digest): Promise<void> {
    const shard = this.#layout.shard(digest);
    await chmod(path, 0o400);
    await this.#flushes.run(() => file.flush());
    crashPoint('commit.synced');
    await this.#createShard(shard);
    crashPoint('commit.sharded');
    await this.#renameInto(path, digest);
    crashPoint('commit.renamed');
    await this.#flushes.run(() => flushDirectory(shard));
    crashPoint('commit.flushed');
  }

  async #renameInto(path: string, digest: Digest): Promise<void> {
    try {
      await rename(path, this.#layout.blob(digest));
    } catch (error) {
      if (hasCode(error, 'ENOENT')) {
        // Somebody removed the shard directory while the server ran.
        this.#shards.delete(this.#layout.shard(digest));
        await this.#createShard(this.#layout.shard(digest));
      } else if (hasCode(error, 'EISDIR', 'ENOTEMPTY', 'EEXIST')) {
        await this.#moveAside(digest);
      } else {
        throw error;
      }
      await rename(path, this.#layout.blob(digest));
    }
  }

  async #createShard(shard: string): Promise<void> {
    if (this.#shards.has(shard)) return;
    await this.#shardsUnderWay.run(shard, () => createDurableDirectory(shard));
    this.#shards.add(shard);
  }

  async #moveAside(digest: Digest): Promise<void> {
    try {
      await rename(this.#layout.blob(digest), this.#layout.newQuarantined(digest));
    } catch (error) {
      if (!hasCode(error, 'ENOENT')) throw error;
    }
  }

  async #pruneQuarantine(): Promise<void> {
    const directory = this.#layout.quarantine;
    const names = await readdir(directory);
    // ctime is when it was moved here; mtime is when it was downloaded.
    const found = names.map(async (name) => {
      const stats = await lstat(join(directory, name)).catch(() => undefined);
      return { name, since: stats?.ctimeMs ?? 0, size: stats?.size ?? 0 };
    });
    const latest = (await Promise.all(found)).sort((a, b) => b.since - a.since);
    let kept = 0;
    let bytes = 0;
    for (const { name, size } of latest) {
      if (kept < QUARANTINE_LIMIT && bytes + size <= QUARANTINE_BYTES) {
        kept += 1;
        bytes += size;
      } else {
        await rm(join(directory, name), { recursive: true, force: true });
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

/** What lies in one shard directory under a digest, in order; nothing where it is no such directory. */
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

/** Opens whatever was put there, without following a link; undefined where nothing can be opened. */
async function openPlanted(path: string): Promise<number | undefined> {
  const { O_RDONLY, O_NOFOLLOW, O_NONBLOCK } = constants;
  try {
    // O_NONBLOCK means nothing to a file; opening a named pipe without it would hold a thread until someone writes.
    return await open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  } catch (error) {
    // ELOOP (EMLINK on FreeBSD) is a link, ENXIO a socket, ENOTDIR a file where the shard directory should be.
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
