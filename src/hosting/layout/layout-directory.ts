import { randomBytes } from 'node:crypto';
import { open, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { crashPoint } from '../../lib/index.ts';
import { type Digest, type DigestAlgorithm, digestAlgorithm } from '../../oci/index.ts';
import { createDurableDirectories, flushDirectory, hasCode, type LinkableBlobStore } from '../../store/index.ts';
import { filesIn, INDEX, isDirectory, LayoutBlobs, readBounded, removeFile } from './layout-files.ts';

/** The file that says that a directory is a layout, and of which version (image-spec, image-layout.md). */
const LAYOUT = 'oci-layout';
const VERSION = '{"imageLayoutVersion":"1.0.0"}\n';

const ALGORITHMS: readonly DigestAlgorithm[] = ['sha256', 'sha512'];

/** A file that was not finished. */
const DRAFT = /^(?:oci-layout|index\.json)\.[0-9a-f]{16}\.new$/;

/** Links that are looked at or made at the same time: some of the four threads of libuv's pool stay free for readers. */
const AT_ONCE = 2;

/** The file system makes no hard links. */
export class NoLinksError extends Error {
  override readonly name = 'NoLinksError';
}

/** The links of a layout after it was brought up to date. */
export interface LinkedBlobs {
  /** Digests whose file is in the layout. */
  readonly there: ReadonlySet<Digest>;
  /** Digests whose file has as many names as its file system allows, or whose place is taken by what is no file. */
  readonly unlinked: readonly Digest[];
}

/**
 * The directory of one repository's layout:
 *
 *   apps+2Fteam+2Fweb/
 *   ├── oci-layout
 *   ├── index.json             the descriptors; replaced in one step
 *   └── blobs/
 *       └── sha256/3f786850…   a hard link to the file of the hosted store
 *
 * A change goes in this order: new links, flushed; the index, flushed; old links. So an index never names a file that is not there.
 */
export class LayoutDirectory {
  readonly #path: string;
  readonly #blobs: LayoutBlobs;
  readonly #store: LinkableBlobStore;

  constructor(path: string, store: LinkableBlobStore) {
    this.#path = path;
    this.#blobs = new LayoutBlobs(path);
    this.#store = store;
  }

  /** Makes the directories and links of digests where they are missing. @throws {NoLinksError} the signal's reason; the system's error */
  async link(digests: ReadonlySet<Digest>, signal: AbortSignal): Promise<LinkedBlobs> {
    const used = ALGORITHMS.filter((each) => each === 'sha256' || anyOf(digests, each));
    const blobs = join(this.#path, 'blobs');
    const directories = [this.#path, blobs, ...used.map((each) => join(blobs, each))];
    await this.#makeDirectories(directories);
    const there = new Set<Digest>();
    const unlinked: Digest[] = [];
    const changed = new Set<DigestAlgorithm>();
    const left = digests.values();
    let failure: { readonly error: unknown } | undefined;
    const work = async (): Promise<void> => {
      for (const digest of left) {
        if (failure !== undefined) return;
        signal.throwIfAborted();
        const outcome = await this.#link(digest);
        if (outcome === 'linked') changed.add(digestAlgorithm(digest));
        if (outcome === 'linked' || outcome === 'present') there.add(digest);
        else if (outcome === 'unlinked') unlinked.push(digest);
      }
    };
    const works = Array.from({ length: AT_ONCE }, () =>
      work().catch((error: unknown) => {
        failure ??= { error };
      }),
    );
    // None of them goes on after this has failed.
    await Promise.all(works);
    if (failure !== undefined) throw failure.error;
    crashPoint('layout.linked');
    for (const algorithm of changed) await flushDirectory(join(blobs, algorithm));
    return { there, unlinked };
  }

  /** Puts the index in its place, unless it is there. */
  async writeIndex(text: string): Promise<void> {
    const files = [
      { name: LAYOUT, text: VERSION },
      { name: INDEX, text },
    ];
    for (const each of files) await this.#replace(each.name, each.text);
    crashPoint('layout.indexed');
  }

  /** Removes the links of other digests, and files that were not finished. What else lies there stays. */
  async removeOthers(digests: ReadonlySet<Digest>): Promise<void> {
    for (const digest of await this.#blobs.digests()) {
      if (!digests.has(digest)) await removeFile(this.#blobs.pathOf(digest));
    }
    for (const name of await filesIn(this.#path)) if (DRAFT.test(name)) await removeFile(join(this.#path, name));
  }

  /** Flushes nothing where they are all there, as they are nearly always. */
  async #makeDirectories(directories: readonly string[]): Promise<void> {
    const found = await Promise.all(directories.map(isDirectory));
    if (!found.includes(undefined) && !found.includes(false)) return;
    await createDurableDirectories(directories);
    for (const directory of directories) {
      if ((await isDirectory(directory)) !== true) throw new Error(`${directory} is no directory. Move it elsewhere`);
    }
  }

  async #link(digest: Digest): Promise<'linked' | 'present' | 'unlinked' | 'absent'> {
    const path = this.#blobs.pathOf(digest);
    try {
      const outcome = await this.#store.linkTo(digest, path);
      if (outcome === 'impossible') throw new NoLinksError(`${path} cannot be a hard link`);
      // What the store has lost, the layout may still have: a rebuild gives it back.
      if (outcome === 'absent') return (await this.#blobs.stat(digest)) === undefined ? 'absent' : 'present';
      return outcome === 'too many' ? 'unlinked' : outcome;
    } catch (error) {
      if (hasCode(error, 'EEXIST')) return 'unlinked';
      throw error;
    }
  }

  async #replace(name: string, text: string): Promise<void> {
    const path = join(this.#path, name);
    const bytes = Buffer.from(text);
    const before = await readBounded(path, bytes.length);
    if (Buffer.isBuffer(before) && before.equals(bytes)) return;
    const draft = `${path}.${randomBytes(8).toString('hex')}.new`;
    try {
      await using handle = await open(draft, 'wx', 0o600);
      await handle.writeFile(bytes);
      await handle.sync();
      crashPoint('layout.drafted');
      await rename(draft, path);
    } catch (error) {
      await removeFile(draft).catch(() => undefined);
      throw error;
    }
    await flushDirectory(this.#path);
  }
}

function anyOf(digests: ReadonlySet<Digest>, algorithm: DigestAlgorithm): boolean {
  return digests.values().some((digest) => digestAlgorithm(digest) === algorithm);
}
