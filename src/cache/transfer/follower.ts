import { type BlobReader, type ByteSpan, ReaderClosedError } from '../../lib/index.ts';

/** A growing file, as its followers see it. */
interface Followed {
  /** Bytes from the start that may be seen now. */
  readonly visible: number;
  /** True when the file is whole and its digest is right. */
  readonly verified: boolean;
  /** True when the disk refused the bytes: the rest comes from `openRest`. */
  readonly detached: boolean;
  /** Why there will be no more bytes; undefined while there may be. */
  readonly error: Error | undefined;
  read(target: Buffer, position: number): Promise<number>;
  /** Called when this follower has had bytes. */
  moved(): void;
  openRest(span: ByteSpan, position: number, signal: AbortSignal): Promise<BlobReader>;
}

/** Reads a span of a growing file, waiting where it has caught up. */
export class Follower implements BlobReader {
  readonly #ingest: Followed;
  readonly #leave: () => void;
  readonly #end: number | undefined;
  #position: number;
  #closed = false;
  #reading = false;
  readonly #span: ByteSpan;
  readonly #left = new AbortController();
  #waiting: PromiseWithResolvers<void> | undefined;
  /** Where the bytes come from once the transfer is detached. */
  #rest: BlobReader | undefined;

  constructor(ingest: Followed, span: ByteSpan, leave: () => void) {
    this.#ingest = ingest;
    this.#span = span;
    this.#position = span.start;
    this.#end = span.end;
    this.#leave = leave;
  }

  /** The first byte that it has not read. */
  get position(): number {
    return this.#position;
  }

  async read(target: Buffer): Promise<number> {
    const ingest = this.#ingest;
    this.#reading = true;
    try {
      for (;;) {
        if (this.#closed) throw new ReaderClosedError();
        const limit = this.#end === undefined ? ingest.visible : Math.min(ingest.visible, this.#end + 1);
        const wanted = Math.min(target.length, limit - this.#position);
        if (wanted > 0) {
          const count = await ingest.read(
            wanted === target.length ? target : target.subarray(0, wanted),
            this.#position,
          );
          if (this.#closed) throw new ReaderClosedError();
          if (count === 0) throw new Error('Cannot read the growing file as it is shorter than what was written to it');
          this.#position += count;
          ingest.moved();
          return count;
        }
        if (this.#end !== undefined && this.#position > this.#end) return 0;
        if (ingest.verified) return 0;
        if (ingest.detached) {
          if (this.#rest === undefined) {
            this.#rest = await ingest.openRest(this.#span, this.#position, this.#left.signal);
            if (this.#closed) this.#rest.close();
          }
          const count = await this.#rest.read(target);
          if (this.#closed) throw new ReaderClosedError();
          return count;
        }
        if (ingest.error !== undefined) throw ingest.error;
        this.#waiting = Promise.withResolvers();
        await this.#waiting.promise;
      }
    } finally {
      this.#reading = false;
      // A read that was under way when the reader was closed still used the descriptor.
      if (this.#closed) this.#leave();
    }
  }

  wake(): void {
    this.#waiting?.resolve();
    this.#waiting = undefined;
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#left.abort(new ReaderClosedError());
    this.#rest?.close();
    if (this.#reading) this.wake();
    else this.#leave();
  }
}
