import { rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import type { Writable } from 'node:stream';
import { type Digest, Digester, digestAlgorithm, digestOf } from '../oci/index.ts';
import type { BlobSource } from '../store/index.ts';
import { BundleError } from './error.ts';
import {
  type BundleEntry,
  DELTA_FILE,
  formatDelta,
  formatIndex,
  formatSeal,
  INDEX_FILE,
  LAYOUT_CONTENT,
  LAYOUT_FILE,
  pathOfDigest,
  SEAL_FILE,
} from './layout.ts';
import { FileTarget, Output, StreamTarget, type Target } from './output.ts';
import { endOfArchive, fileHeader, padding } from './tar-header.ts';

/** A manifest or blob to be written. */
export interface BundlePart {
  readonly digest: Digest;
  readonly kind: 'manifest' | 'blob';
  readonly home: 'mirrored' | 'hosted';
}

export interface WriteOptions {
  /** The path of the file to write, where one that is there is replaced at the end; or a stream, which is not ended, and which keeps no chunk that it has taken. */
  readonly to: string | Writable;
  readonly entries: readonly BundleEntry[];
  /** What the entries need; one that is named twice is written once. */
  readonly parts: readonly BundlePart[];
  readonly source: Readonly<Record<BundlePart['home'], BlobSource>>;
  /** Blobs that an earlier bundle has: they are left out, and listed. Manifests are always written. */
  readonly since?: ReadonlySet<Digest> | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Told of bytes that were written. */
  readonly onBytes?: ((count: number) => void) | undefined;
  /** Called before the end is written. Rejects where what was to be written may have changed meanwhile: then there is no bundle. */
  readonly confirm?: (() => Promise<void>) | undefined;
}

export interface Written {
  readonly blobs: number;
  /** Of the archive. */
  readonly bytes: number;
  /** Left out, since the earlier bundle has them. */
  readonly omitted: number;
}

/** Small enough for the second level of a processor's cache: the bytes that were read are hashed out of it. */
const READ = 128 * 1024;

/**
 * Writes a bundle: an OCI image layout as a tar archive. Each blob is hashed on the way. The same content makes the same bytes.
 *
 * A file is there when it is whole: it is written beside its place, flushed and renamed. A stream that breaks off has no end of an
 * archive, by which every reader knows.
 *
 * @throws {BundleError} where a blob is damaged or gone, and where the file or the stream cannot be written; the signal's reason
 */
export async function writeBundle(options: WriteOptions): Promise<Written> {
  const { to } = options;
  if (typeof to === 'string') return await writeFile(to, options);
  try {
    return await new Writing(new StreamTarget(to), options).run();
  } catch (error) {
    throw explain('standard output', error);
  }
}

async function writeFile(file: string, options: WriteOptions): Promise<Written> {
  const draft = join(dirname(file), `.${basename(file)}.${process.pid}.partial`);
  try {
    const target = await FileTarget.create(draft);
    let written: Written;
    try {
      written = await new Writing(target, options).run();
      await target.sync();
    } finally {
      await target.close();
    }
    await rename(draft, file);
    return written;
  } catch (error) {
    throw explain(file, error);
  } finally {
    await rm(draft, { force: true }).catch(() => undefined);
  }
}

class Writing {
  readonly #output: Output;
  readonly #options: WriteOptions;

  constructor(target: Target, options: WriteOptions) {
    this.#output = new Output(target);
    this.#options = options;
  }

  async run(): Promise<Written> {
    const { entries, since = new Set<Digest>(), confirm } = this.#options;
    const output = this.#output;
    const parts = inOrder(this.#options.parts);
    const isOmitted = ({ kind, digest }: BundlePart): boolean => kind === 'blob' && since.has(digest);
    const omitted = parts.filter(isOmitted).map(({ digest }) => digest);
    const kept = parts.filter((part) => !isOmitted(part));
    try {
      await this.#file(LAYOUT_FILE, Buffer.from(LAYOUT_CONTENT));
      const index = formatIndex(entries);
      await this.#file(INDEX_FILE, index);
      await this.#file(SEAL_FILE, formatSeal(digestOf(index)));
      if (this.#options.since !== undefined) await this.#file(DELTA_FILE, formatDelta(omitted));
      for (const part of kept) await this.#blob(part);
      await confirm?.();
      await output.append(endOfArchive());
    } finally {
      // A piece that is being written must not outlive its file.
      await output.end();
    }
    return { blobs: kept.length, bytes: output.size, omitted: omitted.length };
  }

  #file(path: string, content: Buffer): Promise<void> {
    return this.#output.append(Buffer.concat([fileHeader(path, content.length), content, padding(content.length)]));
  }

  async #blob({ digest, home }: BundlePart): Promise<void> {
    const { source, signal, onBytes } = this.#options;
    const output = this.#output;
    const stored = await reading(digest, () => source[home].open(digest));
    if (stored === undefined) {
      throw new BundleError(`${digest} is no longer stored: it was deleted meanwhile. Repeat the command`);
    }
    try {
      const { size } = stored;
      const digester = new Digester(digestAlgorithm(digest));
      await output.append(fileHeader(pathOfDigest(digest), size));
      for (let read = 0; read < size; ) {
        signal?.throwIfAborted();
        const room = output.room(READ);
        const atHand = stored.direct?.readNow(room, read) ?? 0;
        const count = atHand > 0 ? atHand : await reading(digest, () => stored.read(room, read));
        // Its header has promised so many bytes.
        if (count === 0 || read + count > size) throw damaged(digest);
        digester.update(count === room.length ? room : room.subarray(0, count));
        await output.advance(count);
        onBytes?.(count);
        read += count;
      }
      if (digester.digest() !== digest) throw damaged(digest);
      await output.append(padding(size));
    } finally {
      await stored.close();
    }
  }
}

/** A disk that cannot be read, or another user's file, is not the fault of the file that is written. */
async function reading<T>(digest: Digest, read: () => Promise<T>): Promise<T> {
  try {
    return await read();
  } catch (error) {
    const { code = String(error) } = error as NodeJS.ErrnoException;
    const isDenied = code === 'EACCES' || code === 'EPERM';
    const remedy = isDenied
      ? 'run the command as the user of the server'
      : 'look at the disk, and run `entrepot scrub`';
    throw new BundleError(`${digest} cannot be read here (${code}); ${remedy}`, { cause: error });
  }
}

function damaged(digest: Digest): BundleError {
  return new BundleError(
    `${digest} is damaged here: its bytes have another digest. Run \`entrepot scrub\`, fetch the image again, and repeat the command`,
  );
}

/** Manifests first, each by its digest: the order does not depend on how the images were named. */
function inOrder(parts: readonly BundlePart[]): readonly BundlePart[] {
  const unique = new Map<Digest, BundlePart>();
  for (const part of parts) {
    const known = unique.get(part.digest);
    if (known === undefined || (known.kind === 'blob' && part.kind === 'manifest')) unique.set(part.digest, part);
  }
  const rank = ({ kind }: BundlePart): number => (kind === 'manifest' ? 0 : 1);
  return [...unique.values()].sort(
    (one, other) => rank(one) - rank(other) || (one.digest < other.digest ? -1 : Number(one.digest > other.digest)),
  );
}

function explain(file: string, error: unknown): unknown {
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  const reason = REASONS[code];
  return reason === undefined ? error : new BundleError(`${file}: ${reason}`, { cause: error });
}

const REASONS: Readonly<Record<string, string>> = {
  EPIPE: 'its reader has ended',
  ERR_STREAM_DESTROYED: 'its reader has ended',
  ENOENT: 'there is no such directory',
  ENOTDIR: 'there is no such directory',
  EACCES: 'this user may not write there',
  EROFS: 'the file system is read-only',
  EISDIR: 'it is a directory; name a file',
  EEXIST: 'another export writes there; wait for it, or delete its .partial file',
  ENOSPC: 'the disk is full',
  EDQUOT: 'the quota of the disk is used up',
  EFBIG: 'the file system takes no file of this size',
};
