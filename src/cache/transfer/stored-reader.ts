import { type BlobReader, type ByteSpan, type DirectReader, ReaderClosedError } from '../../lib/index.ts';
import type { DirectFile, StoredBlob } from '../../store/index.ts';
import { type Corruption, type Inspection, RottenBlobError, shortened, unreadable } from '../integrity/index.ts';

interface StoredReaderOptions {
  /** Hashes the content; undefined where it is verified. */
  readonly inspection?: Inspection | undefined;
  /** Called where the file cannot be read to its end, and awaited, so that a retry does not find it. Must not reject. */
  readonly onCorruption?: (corruption: Corruption) => Promise<void>;
}

/**
 * Reads a span of a stored blob.
 *
 * While the content is being hashed, a reader of the whole gets everything but the last byte, and that one once the content
 * is found right. A reader of a part does not wait, and is cut off where the content is found corrupt (decisions.md 4): a
 * client that reads the footer of a layer first must not wait until the rest is hashed.
 */
export class StoredReader implements BlobReader, DirectReader {
  readonly #blob: StoredBlob;
  /** First byte not wanted. */
  readonly #end: number;
  readonly #onCorruption: ((corruption: Corruption) => Promise<void>) | undefined;
  readonly #holdsBack: boolean;
  /** Undefined once the content is found right. */
  #inspection: Inspection | undefined;
  #position: number;
  #closed: PromiseWithResolvers<void> | undefined;
  #isClosed = false;
  #reading = false;

  constructor(blob: StoredBlob, span: ByteSpan, { inspection, onCorruption }: StoredReaderOptions = {}) {
    this.#blob = blob;
    this.#position = span.start;
    this.#end = span.end === undefined ? blob.size : Math.min(span.end + 1, blob.size);
    this.#inspection = inspection;
    this.#onCorruption = onCorruption;
    this.#holdsBack = span.start === 0 && this.#end === blob.size;
  }

  /** False where the last byte waits for the verdict. */
  get isAtHand(): boolean {
    return this.#inspection === undefined || !this.#holdsBack || this.#position < this.#end - 1;
  }

  get direct(): DirectReader | undefined {
    return this.#blob.direct === undefined || this.#inspection !== undefined ? undefined : this;
  }

  sendTo(socket: number): number {
    return this.#advance((file, left) => file.sendTo(socket, this.#position, left));
  }

  readNow(target: Buffer): number {
    return this.#advance((file, left) =>
      file.readNow(left < target.length ? target.subarray(0, left) : target, this.#position),
    );
  }

  async read(target: Buffer): Promise<number> {
    // Not 0, which would say that the body is complete.
    if (this.#isClosed) throw new ReaderClosedError();
    this.#reading = true;
    try {
      const limit = this.#inspection === undefined ? this.#end : await this.#limit(this.#inspection);
      const wanted = Math.min(target.length, limit - this.#position);
      if (wanted <= 0) return 0;
      const count = await this.#blob.read(
        wanted === target.length ? target : target.subarray(0, wanted),
        this.#position,
      );
      if (this.#isClosed) throw new ReaderClosedError();
      if (count === 0) throw new ShortenedError(this.#position, this.#blob.size);
      this.#position += count;
      return count;
    } catch (error) {
      if (!this.#isClosed && !(error instanceof RottenBlobError)) {
        await this.#onCorruption?.(error instanceof ShortenedError ? error.corruption : unreadable(error));
      }
      throw error;
    } finally {
      this.#reading = false;
      if (this.#isClosed) this.#release();
    }
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#closed?.resolve();
    // A read under way still uses the descriptor; it releases it.
    if (!this.#reading) this.#release();
  }

  /** Takes bytes at once, where they need no verdict. */
  #advance(take: (file: DirectFile, left: number) => number): number {
    const file = this.#blob.direct;
    const left = this.#end - this.#position;
    if (file === undefined || this.#isClosed || this.#reading || this.#inspection !== undefined || left <= 0) return 0;
    const count = take(file, left);
    this.#position += count;
    return count;
  }

  /** The position up to which may be read; waits for the verdict where that is no further. */
  async #limit(inspection: Inspection): Promise<number> {
    if (this.#holdsBack && this.#position >= this.#end - 1 && inspection.verdict === undefined) {
      this.#closed = Promise.withResolvers();
      await Promise.race([inspection.done, this.#closed.promise]);
      if (this.#isClosed) throw new ReaderClosedError();
    }
    inspection.assertNotRotten();
    if (inspection.verdict !== 'right') return this.#holdsBack ? this.#end - 1 : this.#end;
    this.#inspection = undefined;
    return this.#end;
  }

  #release(): void {
    this.#blob.close().catch(() => {});
  }
}

/** The file has become shorter since it was opened. */
class ShortenedError extends Error {
  override readonly name = 'ShortenedError';
  readonly corruption: Corruption;

  constructor(position: number, size: number) {
    const corruption = shortened(position, size);
    super(`Cannot read a stored blob to its end: ${corruption.detail}`);
    this.corruption = corruption;
  }
}
