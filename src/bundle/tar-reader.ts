import { BundleError } from './error.ts';
import { BLOCK, readHeader, readPax } from './tar-header.ts';

/** An entry whose content follows; what is not read of it is passed over. */
export interface TarEntry {
  /** As the archive has it: to be compared, and never to be used as a path. */
  readonly path: string;
  readonly size: number;
  readonly kind: 'file' | 'directory' | 'other';
  /** The content, once. Rejects where the archive ends before. */
  readonly content: () => AsyncGenerator<Buffer, void>;
}

/** Bytes of a pax header. A path has some hundred. */
const MAX_PAX = 64 * 1024;
/** Characters of a path that a message shows. */
const MAX_SHOWN = 200;
/** Entries of one archive. */
const MAX_ENTRIES = 1_000_000;

/**
 * The entries of a tar archive in the order of the stream. Nothing is kept of it but a header at a time.
 *
 * @throws {BundleError} where it is no archive, or ends before its end
 */
export async function* readTar(chunks: AsyncIterable<Buffer>): AsyncGenerator<TarEntry, void> {
  const source = new Source(chunks);
  let over: { path?: string; size?: number } = {};
  let before = 'at its start';
  for (let entries = 0; ; entries += 1) {
    if (entries > MAX_ENTRIES) throw new BundleError(`it has more than ${MAX_ENTRIES} entries`);
    const block = await source.take(BLOCK);
    if (block === undefined) throw new BundleError('it ends before the end of a tar archive; copy it again');
    const header = placed(before, () => readHeader(block));
    if (header === undefined) return await source.drain();
    const { kind } = header;
    if (kind === 'pax' || kind === 'global' || kind === 'long name') {
      const content = await source.padded(header.size);
      if (kind === 'pax') over = placed(before, () => readPax(content));
      // GNU tar ends the name with a zero.
      if (kind === 'long name') over = { path: content.toString('utf8').replace(/\0.*$/s, '') };
      continue;
    }
    const size = over.size ?? header.size;
    let left = kind === 'file' ? size : 0;
    const content = async function* (): AsyncGenerator<Buffer, void> {
      while (left > 0) {
        const chunk = await source.upTo(left);
        if (chunk === undefined) throw new BundleError('it ends before the end of a tar archive; copy it again');
        left -= chunk.length;
        yield chunk;
      }
    };
    const path = over.path ?? header.path;
    yield { path, size: left, kind, content };
    before = `behind ${path.slice(0, MAX_SHOWN)}`;
    for await (const _ of content());
    await source.take((BLOCK - ((kind === 'file' ? size : 0) % BLOCK)) % BLOCK);
    over = {};
  }
}

/** Says where in the archive a header is that cannot be read. */
function placed<T>(where: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw error instanceof BundleError ? new BundleError(`${where}, ${error.message}`, { cause: error }) : error;
  }
}

/** Bytes by number out of chunks of any size. */
class Source {
  readonly #chunks: AsyncIterator<Buffer>;
  #current: Buffer = Buffer.alloc(0);

  constructor(chunks: AsyncIterable<Buffer>) {
    this.#chunks = chunks[Symbol.asyncIterator]();
  }

  /** What is at hand, at most so many bytes; undefined at the end. */
  async upTo(count: number): Promise<Buffer | undefined> {
    while (this.#current.length === 0) {
      const next = await this.#chunks.next();
      if (next.done === true) return undefined;
      this.#current = next.value;
    }
    const taken = this.#current.subarray(0, count);
    this.#current = this.#current.subarray(taken.length);
    return taken;
  }

  /** So many bytes; undefined where the end comes before. */
  async take(count: number): Promise<Buffer | undefined> {
    const parts: Buffer[] = [];
    for (let left = count; left > 0; ) {
      const part = await this.upTo(left);
      if (part === undefined) return undefined;
      parts.push(part);
      left -= part.length;
    }
    return Buffer.concat(parts);
  }

  /** A small content with what fills its last block. */
  async padded(size: number): Promise<Buffer> {
    if (size > MAX_PAX) throw new BundleError(`a header of it has more than ${MAX_PAX / 1024} KiB`);
    const content = await this.take(size);
    const rest = await this.take((BLOCK - (size % BLOCK)) % BLOCK);
    if (content === undefined || rest === undefined)
      throw new BundleError('it ends before the end of a tar archive; copy it again');
    return content;
  }

  /** Reads to the end: who writes the stream must not find it closed. */
  async drain(): Promise<void> {
    while ((await this.#chunks.next()).done !== true);
  }
}
