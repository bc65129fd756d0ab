import { constants, open as openCallback, type Stats } from 'node:fs';
import { opendir, rename, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { crashPoint } from '../../lib/index.ts';
import type { Digest } from '../../oci/index.ts';
import { hasCode } from '../directory/index.ts';
import type { Ingestion } from './blob-store.ts';
import { INGEST_NAME } from './layout.ts';
import { OpenFile } from './open-file.ts';

const open = promisify(openCallback);

/** Moves a finished file to its digest, or deletes it: afterwards `path` does not exist. */
export type Publish = (file: OpenFile, path: string, digest: Digest) => Promise<void>;

/** Creates an empty file that only this user may read. */
export async function createIngestFile(path: string, publish: Publish): Promise<IngestFile> {
  const { O_CREAT, O_EXCL, O_RDWR, O_NOFOLLOW } = constants;
  const descriptor = await open(path, O_CREAT | O_EXCL | O_RDWR | O_NOFOLLOW, 0o600);
  crashPoint('ingest.created');
  return new IngestFile(new OpenFile(descriptor), path, publish);
}

/** Opens a growing file that a copy made, to read and flush it. */
export async function openDraft(path: string): Promise<OpenFile> {
  return new OpenFile(await open(path, constants.O_RDONLY | constants.O_NOFOLLOW));
}

/**
 * Removes the partial files of a killed process, which it knows by their names, and leaves everything else. The cost grows
 * with the ingests it ran, not with the store.
 *
 * @returns how many entries it left
 */
export async function removePartialFiles(directory: string): Promise<number> {
  let left = 0;
  for await (const entry of await opendir(directory)) {
    if (entry.isFile() && INGEST_NAME.test(entry.name)) await removeFile(join(directory, entry.name));
    else left += 1;
  }
  return left;
}

/** An {@link Ingestion} in a file. Its life: growing → committed | aborted → closed. */
export class IngestFile implements Ingestion {
  readonly #file: OpenFile;
  readonly #publish: Publish;
  #path: string;
  #commit: Promise<void> | undefined;
  #mark: string | undefined;
  /** True once `path` does not exist any more. */
  #isMoved = false;

  constructor(file: OpenFile, path: string, publish: Publish) {
    this.#file = file;
    this.#path = path;
    this.#publish = publish;
  }

  write(chunk: Buffer, position: number): Promise<void> {
    return this.#file.write(chunk, position);
  }

  read(target: Buffer, position: number): Promise<number> {
    return this.#file.read(target, position);
  }

  async commit(digest: Digest): Promise<void> {
    // Also where the first attempt failed: after a failed flush the kernel may consider the lost pages written, and a second
    // flush would succeed without them.
    if (this.#commit !== undefined) throw new Error(`Cannot commit ${digest} as its file was committed before`);
    if (this.#isMoved) throw new Error(`Cannot commit ${digest} as its file was aborted`);
    this.#commit = this.#publish(this.#file, this.#path, digest);
    await this.#commit;
    this.#isMoved = true;
    // Read after the rename, which changes ctime. Where stat fails, the mark is unknown until the blob is opened.
    this.#mark = await this.#file.stat().then(markOf, () => undefined);
  }

  get mark(): string | undefined {
    return this.#mark;
  }

  /** True once the file is not where it grew any more, be it committed or aborted. */
  get isMoved(): boolean {
    return this.#isMoved;
  }

  /** See ResumableIngestion.truncate. */
  async truncate(size: number): Promise<void> {
    if (this.#commit !== undefined) throw new Error('Cannot cut a file that was committed');
    if (this.#isMoved) throw new Error('Cannot cut a file that was aborted');
    const { size: before } = await this.#file.stat();
    if (size > before) throw new RangeError(`Cannot cut a file of ${before} bytes to ${size}`);
    await this.#file.truncate(size);
  }

  /** Moves it to another path on the same file system, where nothing is, and where it goes on growing. */
  async moveTo(path: string): Promise<void> {
    if (this.#commit !== undefined || this.#isMoved) throw new Error('Cannot move a file that has ended');
    await rename(this.#path, path);
    this.#path = path;
  }

  /** Flushes the bytes to the disk. */
  flush(): Promise<void> {
    return this.#file.flush();
  }

  async abort(): Promise<void> {
    // Waits for a running commit: if it succeeds, there is nothing to remove.
    await this.#commit?.catch(() => undefined);
    if (this.#isMoved) return;
    await removeFile(this.#path);
    this.#isMoved = true;
  }

  async close(): Promise<void> {
    try {
      await this.abort();
    } finally {
      await this.#file.close();
    }
  }

  /** Closes the descriptor and leaves the file where it grows, for a later process; after a failed commit, it removes it. */
  async leave(): Promise<void> {
    if (this.#commit !== undefined) return this.close();
    await this.#file.close();
  }
}

/** A text that changes when the file does; see StoredBlob.mark. */
export function markOf({ ino, mtimeMs, ctimeMs }: Stats): string {
  return `${ino} ${mtimeMs} ${ctimeMs}`;
}

/** Removes a file; true where it existed. */
export async function removeFile(path: string): Promise<boolean> {
  try {
    await unlink(path);
    return true;
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return false;
    throw error;
  }
}
