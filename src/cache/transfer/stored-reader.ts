import { type BlobReader, type ByteSpan, type DirectReader, ReaderClosedError } from '../../lib/index.ts';
import type { DirectFile, StoredBlob } from '../../store/index.ts';
import type { Corruption } from '../integrity/index.ts';
import { type Inspection, RottenBlobError, shortened, unreadable } from '../integrity/index.ts';

export interface StoredReaderOptions {
  /** Where the content is not known to be right yet. */
  readonly examination?: Inspection | undefined;
  /** Told where the file cannot be read to its end, and waited for: who asks again is not to find it. Must not reject. */
  readonly onRot?: (rot: Corruption) => Promise<void>;
}

/**
 * Reads a span of a blob that rests in the store.
 *
 * While its content is being looked at, a span that begins with the blob gets everything but the last byte, and that one
 * when the content was found right; any other span is read on, and cut where it was found wrong (decisions.md 4): who
 * reads the footer of a layer first must not wait until the rest was hashed.
 */
export class StoredReader implements BlobReader, DirectReader {
  readonly #blob: StoredBlob;
  /** First byte not wanted. */
  readonly #end: number;
  readonly #onRot: ((rot: Corruption) => Promise<void>) | undefined;
  readonly #holdsBack: boolean;
  /** Until the content was found right. */
  #examination: Inspection | undefined;
  #position: number;
  #closed: PromiseWithResolvers<void> | undefined;
  #isClosed = false;
  #reading = false;

  constructor(blob: StoredBlob, span: ByteSpan, { examination, onRot }: StoredReaderOptions = {}) {
    this.#blob = blob;
    this.#position = span.start;
    this.#end = span.end === undefined ? blob.size : Math.min(span.end + 1, blob.size);
    this.#examination = examination;
    this.#onRot = onRot;
    this.#holdsBack = span.start === 0 && this.#end === blob.size;
  }

  /** False where the last byte waits for a verdict. */
  get isAtHand(): boolean {
    return this.#examination === undefined || !this.#holdsBack || this.#position < this.#end - 1;
  }

  get direct(): DirectReader | undefined {
    return this.#blob.direct === undefined || this.#examination !== undefined ? undefined : this;
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
      const limit = this.#examination === undefined ? this.#end : await this.#limit(this.#examination);
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
      if (!this.#isClosed && !(error instanceof RottenBlobError)) await this.#onRot?.(rotOf(error));
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

  /** Takes bytes at once, where there are some that need no verdict. */
  #advance(take: (file: DirectFile, left: number) => number): number {
    const file = this.#blob.direct;
    const left = this.#end - this.#position;
    if (file === undefined || this.#isClosed || this.#reading || this.#examination !== undefined || left <= 0) return 0;
    const count = take(file, left);
    this.#position += count;
    return count;
  }

  /** How far may be read now; where that is no further, waits for the verdict. */
  async #limit(examination: Inspection): Promise<number> {
    if (this.#holdsBack && this.#position >= this.#end - 1 && examination.verdict === undefined) {
      this.#closed = Promise.withResolvers();
      await Promise.race([examination.done, this.#closed.promise]);
      if (this.#isClosed) throw new ReaderClosedError();
    }
    examination.assertNotRotten();
    if (examination.verdict !== 'right') return this.#holdsBack ? this.#end - 1 : this.#end;
    this.#examination = undefined;
    return this.#end;
  }

  #release(): void {
    this.#blob.close().catch(() => {});
  }
}

/** The size was taken when the file was opened: somebody has cut it since. */
class ShortenedError extends Error {
  override readonly name = 'ShortenedError';
  readonly rot: Corruption;

  constructor(position: number, size: number) {
    const rot = shortened(position, size);
    super(`Cannot read a stored blob to its end: ${rot.detail}`);
    this.rot = rot;
  }
}

function rotOf(error: unknown): Corruption {
  return error instanceof ShortenedError ? error.rot : unreadable(error);
}
