import { constants, type Dirent } from 'node:fs';
import { type FileHandle, lstat, open, readdir, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { type Digest, digestAlgorithm, digestHex, parseDigest } from '../../oci/index.ts';
import { type BlobSource, type HostedStore, hasCode, type StoredBlob } from '../../store/index.ts';

/** The file that describes a layout (image-spec, image-layout.md). */
export const INDEX = 'index.json';

/** The directory of all layouts, in that of hosted content. */
export function layoutsIn(directory: string): string {
  return join(directory, 'repositories');
}

/** The names of what lies among the layouts, in order; nothing where there are none. `isLayout`: it is a directory with an index. */
export async function listLayouts(
  directory: string,
): Promise<readonly { readonly name: string; readonly isLayout: boolean }[]> {
  const root = layoutsIn(directory);
  const found: { readonly name: string; readonly isLayout: boolean }[] = [];
  for (const entry of await entriesIn(root)) {
    const isLayout = entry.isDirectory() && (await sizeOf(join(root, entry.name, INDEX))) !== undefined;
    found.push({ name: entry.name, isLayout });
  }
  return found.sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** Whether the records are empty, and there are layouts of which they can be rebuilt. */
export async function needsRebuild({
  directory,
  records,
}: {
  /** Of hosted content. */
  readonly directory: string;
  readonly records: Pick<HostedStore, 'totals'>;
}): Promise<boolean> {
  if ((await records.totals()).repositories > 0) return false;
  return (await listLayouts(directory)).some(({ isLayout }) => isLayout);
}

/** What a path that may hold anything is not opened for: nothing is there, a link, a socket, a file in place of a directory. */
const NOT_A_FILE = ['ENOENT', 'ELOOP', 'EMLINK', 'ENXIO', 'ENOTDIR'];

/** Opens a regular file without following a link; undefined where there is none. */
async function openFile(path: string): Promise<{ readonly handle: FileHandle; readonly size: number } | undefined> {
  const { O_RDONLY, O_NOFOLLOW, O_NONBLOCK } = constants;
  let handle: FileHandle;
  try {
    handle = await open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  } catch (error) {
    if (hasCode(error, ...NOT_A_FILE)) return undefined;
    throw error;
  }
  try {
    const stats = await handle.stat();
    if (stats.isFile()) return { handle, size: stats.size };
  } catch (error) {
    await handle.close();
    throw error;
  }
  await handle.close();
  return undefined;
}

/** The bytes of a file; undefined where there is none; its size where it has more than `limit`. */
export async function readBounded(path: string, limit: number): Promise<Buffer | number | undefined> {
  const file = await openFile(path);
  if (file === undefined) return undefined;
  await using handle = file.handle;
  return file.size > limit ? file.size : await handle.readFile();
}

/** Size in bytes of a regular file; undefined where there is none. */
export async function sizeOf(path: string): Promise<number | undefined> {
  try {
    const stats = await lstat(path);
    return stats.isFile() ? stats.size : undefined;
  } catch (error) {
    if (hasCode(error, 'ENOENT', 'ENOTDIR')) return undefined;
    throw error;
  }
}

/** The names of the regular files in a directory; none where there is no directory. */
export async function filesIn(directory: string): Promise<readonly string[]> {
  return (await entriesIn(directory)).filter((entry) => entry.isFile()).map(({ name }) => name);
}

async function entriesIn(directory: string): Promise<readonly Dirent[]> {
  try {
    // A link in the place of a directory is another program's, and what it leads to as well.
    if (!(await lstat(directory)).isDirectory()) return [];
    return await readdir(directory, { withFileTypes: true });
  } catch (error) {
    if (hasCode(error, 'ENOENT', 'ENOTDIR')) return [];
    throw error;
  }
}

/** False where it is a link or a file, which is another program's; undefined where nothing is there. */
export async function isDirectory(path: string): Promise<boolean | undefined> {
  try {
    return (await lstat(path)).isDirectory();
  } catch (error) {
    if (hasCode(error, 'ENOENT', 'ENOTDIR')) return undefined;
    throw error;
  }
}

/** Whether anything has a name. */
export async function isThere(path: string): Promise<boolean> {
  return (await isDirectory(path)) !== undefined;
}

export async function removeFile(path: string): Promise<void> {
  try {
    await unlink(path);
  } catch (error) {
    if (!hasCode(error, 'ENOENT')) throw error;
  }
}

/** The blobs of a layout, from which a store can take them. */
export class LayoutBlobs implements BlobSource {
  readonly #directory: string;

  /** @param directory of the layout */
  constructor(directory: string) {
    this.#directory = directory;
  }

  pathOf(digest: Digest): string {
    return join(this.#directory, 'blobs', digestAlgorithm(digest), digestHex(digest));
  }

  stat(digest: Digest): Promise<number | undefined> {
    return sizeOf(this.pathOf(digest));
  }

  async open(digest: Digest): Promise<StoredBlob | undefined> {
    const file = await openFile(this.pathOf(digest));
    if (file === undefined) return undefined;
    const { handle, size } = file;
    return {
      size,
      read: async (target, position) => (await handle.read(target, 0, target.length, position)).bytesRead,
      close: () => handle.close(),
    };
  }

  /** Every digest that has a file, in no order. */
  async digests(): Promise<readonly Digest[]> {
    const found: Digest[] = [];
    for (const algorithm of ['sha256', 'sha512']) {
      for (const name of await filesIn(join(this.#directory, 'blobs', algorithm))) {
        const digest = parseDigest(`${algorithm}:${name}`);
        if (digest !== undefined) found.push(digest);
      }
    }
    return found;
  }
}
