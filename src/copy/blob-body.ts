import { type BlobReader, BodyBuffers, type ByteSource, ReaderClosedError } from '../lib/index.ts';

const BUFFERS = new BodyBuffers();

/**
 * The bytes of a reader as the body of an upload. It lends two buffers in turn: a chunk is whole until the read after the next one.
 *
 * The reader withholds its last byte until the digest holds, so that no upload of wrong bytes ever ends.
 */
export class BlobBody implements ByteSource {
  readonly #reader: BlobReader;
  readonly #onBytes: (count: number) => void;
  readonly #buffers = BUFFERS.lend();
  #turn = 0;
  #pending: Promise<number> | undefined;
  #isOver = false;

  readonly #signal: AbortSignal;
  readonly #abort = (): void => this.cancel();

  /** @param options `onBytes`: told how many bytes were read; `signal`: cancels the body */
  constructor(
    reader: BlobReader,
    { onBytes, signal }: { readonly onBytes: (count: number) => void; readonly signal: AbortSignal },
  ) {
    this.#reader = reader;
    this.#onBytes = onBytes;
    this.#signal = signal;
    signal.addEventListener('abort', this.#abort, { once: true });
    if (signal.aborted) this.cancel();
  }

  async read(): Promise<Buffer | undefined> {
    if (this.#isOver) throw new ReaderClosedError();
    const buffer = this.#buffers[this.#turn] as Buffer;
    this.#turn = 1 - this.#turn;
    this.#pending = this.#reader.read(buffer);
    const count = await this.#pending;
    if (count === 0) return undefined;
    this.#onBytes(count);
    return buffer.subarray(0, count);
  }

  cancel(): void {
    this.#isOver = true;
    this.#reader.close();
  }

  /** Nothing reads the body any more: its buffers go back. */
  async release(): Promise<void> {
    this.#signal.removeEventListener('abort', this.#abort);
    this.cancel();
    await this.#pending?.catch(() => undefined);
    BUFFERS.giveBack(this.#buffers);
  }
}
