import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import type { Writable } from 'node:stream';

/** Where the bytes of a bundle go, in their order and in pieces. */
export interface Target {
  /** Resolves when the bytes are no longer needed. */
  write(bytes: Buffer, position: number): Promise<void>;
}

/** Bytes of a piece. A page of every processor, and the block of every disk, is a part of it. */
const PIECE = 1024 * 1024;
/** What the position, the length and the address of a write past the page cache must be multiples of. */
const ALIGNMENT = 4096;
const WASM_PAGE = 64 * 1024;

/**
 * Puts bytes into pieces, and writes a piece while the next one is filled. Two pieces are all that it ever holds.
 *
 * Who reads a blob reads into the room of a piece, so that no byte is copied within the process.
 */
export class Output {
  readonly #target: Target;
  #piece: Buffer;
  #other: Buffer;
  #filled = 0;
  #position = 0;
  #writing: Promise<void> = Promise.resolve();

  constructor(target: Target) {
    this.#target = target;
    const memory = alignedMemory(2 * PIECE);
    this.#piece = memory.subarray(0, PIECE);
    this.#other = memory.subarray(PIECE);
  }

  /** Bytes so far. */
  get size(): number {
    return this.#position + this.#filled;
  }

  /** Where the next bytes are put, before `advance`: at least one byte, and at most so many. */
  room(most: number): Buffer {
    return this.#piece.subarray(this.#filled, this.#filled + most);
  }

  /** Takes what was put into the room. Rejects with the failure of an earlier piece. */
  async advance(count: number): Promise<void> {
    this.#filled += count;
    if (this.#filled === PIECE) await this.#turn();
  }

  async append(bytes: Buffer): Promise<void> {
    for (let done = 0; done < bytes.length; ) {
      const count = bytes.copy(this.room(PIECE), 0, done);
      done += count;
      await this.advance(count);
    }
  }

  /** Writes what is left. Resolves when all is written, or an earlier write has failed. */
  async end(): Promise<void> {
    await this.#turn();
    await this.#writing;
  }

  async #turn(): Promise<void> {
    await this.#writing;
    if (this.#filled === 0) return;
    const writing = this.#target.write(this.#piece.subarray(0, this.#filled), this.#position);
    // It is heard of at the next turn.
    writing.catch(() => undefined);
    this.#writing = writing;
    this.#position += this.#filled;
    this.#filled = 0;
    [this.#piece, this.#other] = [this.#other, this.#piece];
  }
}

/** The types of Node leave it out. */
declare const WebAssembly: {
  readonly Memory: new (limits: {
    readonly initial: number;
    readonly maximum: number;
  }) => {
    readonly buffer: ArrayBuffer;
  };
};

/** Memory that begins with a page of the processor, as a write past the page cache needs it. Node aligns no buffer, WebAssembly does. */
function alignedMemory(size: number): Buffer {
  const pages = size / WASM_PAGE;
  try {
    return Buffer.from(new WebAssembly.Memory({ initial: pages, maximum: pages }).buffer);
  } catch {
    // A limit of the address space; then the page cache is used.
    return Buffer.allocUnsafeSlow(size);
  }
}

/**
 * A new file, which is written past the page cache where the file system can do that: a bundle is large and is not read soon, and
 * the copy into the cache costs more processor time than all else but the hash.
 */
export class FileTarget implements Target {
  readonly #file: FileHandle;
  /** The same file for whole pieces, past the page cache; undefined where that cannot be done. */
  #direct: FileHandle | undefined;

  private constructor(file: FileHandle, direct: FileHandle | undefined) {
    this.#file = file;
    this.#direct = direct;
  }

  /** Rejects where there is such a file. */
  static async create(path: string): Promise<FileTarget> {
    const file = await open(path, 'wx', 0o644);
    return new FileTarget(file, await openDirect(path));
  }

  async write(bytes: Buffer, position: number): Promise<void> {
    if (this.#direct !== undefined && bytes.length % ALIGNMENT === 0 && position % ALIGNMENT === 0) {
      try {
        return await writeAll(this.#direct, bytes, position);
      } catch (error) {
        // Of a file system with larger blocks, or with none: a write of a part fails so too.
        if ((error as NodeJS.ErrnoException).code !== 'EINVAL') throw error;
        await this.#direct.close();
        this.#direct = undefined;
      }
    }
    await writeAll(this.#file, bytes, position);
  }

  /** Whether pieces are still written past the page cache. */
  get isDirect(): boolean {
    return this.#direct !== undefined;
  }

  sync(): Promise<void> {
    return this.#file.sync();
  }

  async close(): Promise<void> {
    await this.#direct?.close();
    await this.#file.close();
  }
}

async function openDirect(path: string): Promise<FileHandle | undefined> {
  // macOS has none.
  const { O_DIRECT, O_WRONLY } = constants as { readonly O_DIRECT?: number; readonly O_WRONLY: number };
  if (O_DIRECT === undefined) return undefined;
  try {
    return await open(path, O_WRONLY | O_DIRECT);
  } catch {
    return undefined;
  }
}

async function writeAll(file: FileHandle, bytes: Buffer, position: number): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    const { bytesWritten } = await file.write(bytes, done, bytes.length - done, position + done);
    if (bytesWritten === 0) throw new Error(`Cannot write at byte ${position + done} as the disk accepted no bytes`);
    done += bytesWritten;
  }
}

/** A stream, such as standard output. When it calls back, it must not need the bytes any more: they are overwritten. */
export class StreamTarget implements Target {
  readonly #stream: Writable;
  #fail: ((error: Error) => void) | undefined;

  constructor(stream: Writable) {
    this.#stream = stream;
    // A stream that is closed while it has a piece calls nothing back.
    stream.once('close', () => this.#fail?.(Object.assign(new Error('closed'), { code: 'ERR_STREAM_DESTROYED' })));
  }

  write(bytes: Buffer): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#fail = reject;
      this.#stream.write(bytes, (error) => {
        if (error === null || error === undefined) resolve();
        else reject(error);
      });
    });
  }
}
