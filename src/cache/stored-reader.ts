import type { StoredBlob } from '../store/index.ts';
import { type BlobReader, type ByteSpan, ReaderClosedError } from './blob-reader.ts';

/** Reads a span of a blob that rests in the store. */
export class StoredReader implements BlobReader {
  readonly #blob: StoredBlob;
  readonly #last: number;
  #position: number;
  #closed = false;
  #reading = false;

  constructor(blob: StoredBlob, span: ByteSpan) {
    this.#blob = blob;
    this.#position = span.start;
    this.#last = span.end === undefined ? blob.size - 1 : Math.min(span.end, blob.size - 1);
  }

  async read(target: Buffer): Promise<number> {
    // Not 0, which would say that the body is complete.
    if (this.#closed) throw new ReaderClosedError();
    const wanted = Math.min(target.length, this.#last + 1 - this.#position);
    if (wanted <= 0) return 0;
    this.#reading = true;
    try {
      const count = await this.#blob.read(
        wanted === target.length ? target : target.subarray(0, wanted),
        this.#position,
      );
      if (this.#closed) throw new ReaderClosedError();
      // The size was taken when the file was opened: somebody has cut it since.
      if (count === 0)
        throw new Error(`Cannot read a stored blob as it ends at ${this.#position} of ${this.#blob.size} bytes`);
      this.#position += count;
      return count;
    } finally {
      this.#reading = false;
      if (this.#closed) this.#release();
    }
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    // A read under way still uses the descriptor; it releases it.
    if (!this.#reading) this.#release();
  }

  #release(): void {
    this.#blob.close().catch(() => {});
  }
}
