import { chmod, link, lstat, readdir, rename } from 'node:fs/promises';
import { ConcurrencyLimit, crashPoint, SingleFlight } from '../../lib/index.ts';
import type { Digest } from '../../oci/index.ts';
import { createDurableDirectory, flushDirectory, hasCode } from '../directory/index.ts';
import type { LinkOutcome } from './blob-store.ts';
import { removeFile } from './ingest-file.ts';
import type { Layout } from './layout.ts';
import type { OpenFile } from './open-file.ts';

/**
 * Things of other programs that are moved out of blobs' places. Each is a rename, and takes no more of the disk than before.
 * Beyond this number they stay where they are, and the blob is delivered without being kept.
 */
const FOREIGN_LIMIT = 256;

/**
 * Concurrent flushes. A flush of a large layer holds one of the four threads of libuv's pool for seconds: the others stay
 * free for readers.
 */
const FLUSH_LIMIT = 2;

/** Where a hard link cannot be made, though the file is there: another file system, one without links, another owner. */
const NO_LINK = ['EXDEV', 'EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS'];

/** Brings finished files to the places of their digests, and what lies there wrongly out of them. */
export class BlobPlaces {
  readonly #layout: Layout;
  readonly #onUnknown: (message: string) => void;
  readonly #flushes = new ConcurrencyLimit(FLUSH_LIMIT);
  readonly #creatingShards = new SingleFlight<void>();
  /** Shard directories known to exist; at most 512. */
  readonly #shards = new Set<string>();

  constructor(layout: Layout, onUnknown: (message: string) => void) {
    this.#layout = layout;
    this.#onUnknown = onUnknown;
  }

  /*
   * The order makes it safe against a power cut at any line: the data is on the disk before its name, and the name is on the
   * disk before the caller learns of it.
   */
  async publish(file: OpenFile, path: string, digest: Digest): Promise<void> {
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
    const target = this.#layout.blob(digest);
    // A rename replaces a link or a named pipe, which may be another program's.
    if (await isOther(target)) await this.moveAside(digest);
    try {
      await rename(path, target);
    } catch (error) {
      if (hasCode(error, 'ENOENT')) {
        // An operator removed the shard directory while the server ran.
        this.#shards.delete(this.#layout.shard(digest));
        await this.#createShard(this.#layout.shard(digest));
      } else if (hasCode(error, 'EISDIR', 'ENOTEMPTY', 'EEXIST')) {
        await this.moveAside(digest);
      } else {
        throw error;
      }
      await rename(path, target);
    }
  }

  async #createShard(shard: string): Promise<void> {
    if (this.#shards.has(shard)) return;
    await this.#creatingShards.run(shard, () => createDurableDirectory(shard));
    this.#shards.add(shard);
  }

  /** Moves a blob into quarantine. What is no file was not stored by this program, and is moved to `foreign/`. */
  async moveAside(digest: Digest): Promise<void> {
    const path = this.#layout.blob(digest);
    const isForeign = await isOther(path);
    const target = isForeign ? await this.#foreignPlace(digest) : this.#layout.newQuarantined(digest);
    try {
      await rename(path, target);
    } catch (error) {
      if (!hasCode(error, 'ENOENT', 'ENOTDIR')) throw error;
      return;
    }
    if (isForeign) this.#onUnknown(`${path} was no file of the cache. It is now ${target}, and is never deleted.`);
  }

  async #foreignPlace(digest: Digest): Promise<string> {
    const { foreign } = this.#layout;
    await createDurableDirectory(foreign);
    if ((await readdir(foreign)).length < FOREIGN_LIMIT) return this.#layout.newForeign(digest);
    throw new Error(
      `Cannot use ${this.#layout.blob(digest)}: it is no file of the cache, and ${foreign} is full. Move what it holds elsewhere`,
    );
  }

  /**
   * Puts a flushed file of another store in the place of a digest as well, by a hard link.
   *
   * @returns its size; undefined where there is no such file, or it cannot be linked
   */
  async link(path: string, digest: Digest): Promise<number | undefined> {
    const shard = this.#layout.shard(digest);
    const draft = this.#layout.newIngest();
    if ((await linkFile(path, draft)) !== 'linked') return undefined;
    let size: number;
    try {
      ({ size } = await lstat(draft));
      crashPoint('link.made');
      await this.#createShard(shard);
      await this.#renameInto(draft, digest);
      crashPoint('link.renamed');
    } finally {
      // Where both names are of one file, a rename leaves both (rename(2)).
      await removeFile(draft);
    }
    await this.#flushes.run(() => flushDirectory(shard));
    return size;
  }
}

/** As {@link linkFile}, and replaces another file of that name. @param draft a path that is free, on the same file system */
export async function linkOver(path: string, name: string, draft: string): Promise<LinkOutcome> {
  const [file, there] = await Promise.all([path, name].map((each) => lstat(each).catch(absent)));
  if (file?.isFile() !== true) return 'absent';
  if (there === undefined) return linkFile(path, name);
  if (!there.isFile()) throw Object.assign(new Error(`EEXIST: ${name} is no file`), { code: 'EEXIST' });
  if (there.ino === file.ino && there.dev === file.dev) return 'present';
  const outcome = await linkFile(path, draft);
  if (outcome !== 'linked') return outcome;
  try {
    await rename(draft, name);
    return 'linked';
  } finally {
    await removeFile(draft);
  }
}

function absent(error: unknown): undefined {
  if (!hasCode(error, 'ENOENT', 'ENOTDIR')) throw error;
}

/**
 * Gives a regular file a second name. Never follows a link: where the system does so, or links the link itself, the new name is removed.
 *
 * `impossible`: the file is there, and the file systems do not allow it. @throws the system's error where the new name is taken
 */
export async function linkFile(path: string, name: string): Promise<Exclude<LinkOutcome, 'present'>> {
  try {
    const before = await lstat(path);
    if (!before.isFile()) return 'absent';
    await link(path, name);
    const made = await lstat(name);
    if (made.isFile() && made.ino === before.ino && made.dev === before.dev) return 'linked';
    await removeFile(name);
    return 'absent';
  } catch (error) {
    if (hasCode(error, 'ENOENT', 'ENOTDIR') && (await isGone(path))) return 'absent';
    if (hasCode(error, 'EMLINK')) return 'too many';
    if (hasCode(error, ...NO_LINK)) return 'impossible';
    throw error;
  }
}

async function isGone(path: string): Promise<boolean> {
  return (await lstat(path).catch(absent)) === undefined;
}

/** True where something lies there that is no file: a directory, a link, a named pipe. */
async function isOther(path: string): Promise<boolean> {
  return (await lstat(path).catch(absent))?.isFile() === false;
}
