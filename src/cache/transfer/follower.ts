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
  /** True when it was ended from outside. */
  readonly isStopped: boolean;
  read(target: Buffer, position: number): Promise<number>;
  /** The first byte from a position on that has not come; used by those alone that are ahead. */
  readableTo(position: number): number;
  /** Sees to it that a byte comes soon, with those before `end`; false where it cannot. */
  bring(position: number, end: number): boolean;
  /** Bytes in all; undefined until known. */
  readonly size: number | undefined;
  /** Called when this follower has had bytes. */
  moved(): void;
  openRest(span: ByteSpan, position: number, signal: AbortSignal): Promise<BlobReader>;
}

/** Reads a span of a growing file, waiting where it has caught up. */
export class Follower implements BlobReader {
  /** Whether it reads what comes ahead of the front. Such a one reads the rest from the origin, where nothing more comes. */
  readonly isAhead: boolean;
  readonly #ingest: Followed;
  readonly #leave: () => void;
  readonly #end: number | undefined;
  #position: number;
  /** The first byte behind those that it has asked the growing file for. */
  #reach: number;
  /** Why it ends early, though others go on. */
  #error: Error | undefined;
  #closed = false;
  #reading = false;
  readonly #span: ByteSpan;
  readonly #left = new AbortController();
  #waiting: PromiseWithResolvers<void> | undefined;
  /** Where the bytes come from once none come into the file. */
  #rest: BlobReader | undefined;

  constructor(
    ingest: Followed,
    { span, isAhead }: { readonly span: ByteSpan; readonly isAhead: boolean },
    leave: () => void,
  ) {
    this.isAhead = isAhead;
    this.#ingest = ingest;
    this.#span = span;
    this.#position = span.start;
    this.#reach = span.start;
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
        if (this.#error !== undefined) throw this.#error;
        if (this.#rest !== undefined) {
          const count = await this.#rest.read(target);
          if (this.#closed) throw new ReaderClosedError();
          return count;
        }
        const wanted = Math.min(target.length, this.#limit - this.#position);
        if (wanted > 0) {
          this.#reach = Math.max(this.#reach, this.#position + wanted);
          const count = await ingest.read(
            wanted === target.length ? target : target.subarray(0, wanted),
            this.#position,
          );
          if (this.#closed) throw new ReaderClosedError();
          if (this.#error !== undefined) throw this.#error;
          if (count === 0) throw new Error('Cannot read the growing file as it is shorter than what was written to it');
          this.#position += count;
          ingest.moved();
          return count;
        }
        if ((this.#end !== undefined && this.#position > this.#end) || ingest.verified) return 0;
        if (ingest.error !== undefined && !ingest.detached && (!this.isAhead || ingest.isStopped)) throw ingest.error;
        if (this.#comes) {
          this.#waiting = Promise.withResolvers();
          await this.#waiting.promise;
        } else {
          this.#rest = await ingest.openRest(this.#span, this.#position, this.#left.signal);
          if (this.#closed) this.#rest.close();
        }
      }
    } finally {
      this.#reading = false;
      // A read that was under way when the reader was closed still used the descriptor.
      if (this.#closed) this.#leave();
    }
  }

  /** The first byte that it may not read yet. */
  get #limit(): number {
    const ingest = this.#ingest;
    const limit = this.isAhead && !ingest.verified ? ingest.readableTo(this.#position) : ingest.visible;
    return this.#end === undefined ? limit : Math.min(limit, this.#end + 1);
  }

  /** Whether the next byte comes into the file; where it lies ahead, it is asked for. */
  get #comes(): boolean {
    const ingest = this.#ingest;
    if (ingest.detached) return false;
    if (!this.isAhead) return true;
    const end = this.#end === undefined ? ingest.size : this.#end + 1;
    return ingest.error === undefined && end !== undefined && ingest.bring(this.#position, end);
  }

  /** Whether it has read any of some bytes of the growing file, or is about to. */
  hasAsked(start: number, end: number): boolean {
    return this.#span.start < end && start < this.#reach;
  }

  /** Ends it: its next read rejects. */
  cut(error: Error): void {
    this.#error = error;
    this.wake();
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
