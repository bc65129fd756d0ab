import { constants } from 'node:fs';
import { copyFile } from 'node:fs/promises';
import { type Digest, Digester, digestAlgorithm } from '../../oci/index.ts';
import { hasCode } from '../directory/index.ts';
import type { BlobSource, CopyOptions, CopyOutcome, Ingestion, StoredBlob } from './blob-store.ts';
import { openDraft, type Publish, removeFile } from './ingest-file.ts';
import type { OpenFile } from './open-file.ts';

const COPY_BYTES = 1024 * 1024;

/** Where a file system has no reflinks, or not between these two. */
const NO_CLONE = ['ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EXDEV', 'EINVAL', 'ENOTTY', 'EPERM', 'EACCES'];

/** How a store takes the file of a copy. */
interface Target {
  begin(): Promise<Ingestion>;
  /** A path that is free, for a file that grows. */
  newDraft(): string;
  readonly publish: Publish;
}

interface Original {
  readonly digest: Digest;
  /** Where its file is; undefined where it is none. */
  readonly path: string | undefined;
}

/** What the original cannot give: it is reported, and the copying of others goes on. */
class Unreadable extends Error {}

/** Copies of blobs that are hashed before they have their name. */
export class VerifiedCopy {
  readonly #target: Target;
  #mayClone = true;

  constructor(target: Target) {
    this.#target = target;
  }

  async run(source: BlobSource, original: Original, options: CopyOptions): Promise<CopyOutcome> {
    const { digest } = original;
    let blob: StoredBlob | undefined;
    try {
      blob = await source.open(digest);
    } catch (error) {
      return { why: unreadable(error) };
    }
    if (blob === undefined) return { why: 'it is missing' };
    try {
      return (await this.#clone(blob, original, options)) ?? (await this.#copy(blob, original, options));
    } catch (error) {
      if (error instanceof Unreadable) return { why: error.message };
      throw error;
    } finally {
      await blob.close();
    }
  }

  /** Undefined where the file systems cannot. */
  async #clone(blob: StoredBlob, { digest, path }: Original, options: CopyOptions): Promise<CopyOutcome | undefined> {
    if (path === undefined || !this.#mayClone || blob.size === 0) return undefined;
    const draft = this.#target.newDraft();
    try {
      await copyFile(path, draft, constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE_FORCE);
    } catch (error) {
      await removeFile(draft);
      if (hasCode(error, 'ENOENT')) return undefined;
      if (!hasCode(error, ...NO_CLONE)) throw error;
      this.#mayClone = false;
      return undefined;
    }
    let file: OpenFile | undefined;
    try {
      file = await openDraft(draft);
      const { digest: found } = await copyBytes(reading(file), { digest, ...options });
      if (found !== digest) return { why: `it is corrupt: its bytes have the digest ${found}` };
      await this.#target.publish(file, draft, digest);
      return 'copied';
    } finally {
      await file?.close();
      // It is gone where it was published.
      await removeFile(draft);
    }
  }

  async #copy(blob: StoredBlob, { digest }: Original, options: CopyOptions): Promise<CopyOutcome> {
    const ingestion = await this.#target.begin();
    try {
      const { digest: found } = await copyBytes(reading(blob), {
        digest,
        ...options,
        write: (chunk, position) => ingestion.write(chunk, position),
      });
      if (found !== digest) return { why: `it is corrupt: its bytes have the digest ${found}` };
      await ingestion.commit(digest);
      return 'copied';
    } finally {
      await ingestion.close();
    }
  }
}

/** The same, whose failures are those of the original. */
function reading(blob: Pick<StoredBlob, 'read'>): Pick<StoredBlob, 'read'> {
  return {
    read: async (target, position) => {
      try {
        return await blob.read(target, position);
      } catch (error) {
        throw new Unreadable(unreadable(error));
      }
    },
  };
}

function unreadable(error: unknown): string {
  return `it cannot be read (${error instanceof Error ? error.message : String(error)})`;
}

interface CopyBytesOptions extends CopyOptions {
  /** Of its algorithm is the digest that is computed. */
  readonly digest: Digest;
  /** @default the bytes are hashed alone */
  readonly write?: (chunk: Buffer, position: number) => Promise<void>;
}

/** Hashes a blob while it is written elsewhere. */
export async function copyBytes(
  blob: Pick<StoredBlob, 'read'>,
  { digest, write, signal, onBytes }: CopyBytesOptions,
): Promise<{ readonly size: number; readonly digest: Digest }> {
  const digester = new Digester(digestAlgorithm(digest));
  const buffer = Buffer.allocUnsafe(COPY_BYTES);
  for (let position = 0; ; ) {
    signal?.throwIfAborted();
    const count = await blob.read(buffer, position);
    if (count === 0) return { size: position, digest: digester.digest() };
    const chunk = buffer.subarray(0, count);
    digester.update(chunk);
    await write?.(chunk, position);
    onBytes?.(count);
    position += count;
  }
}
