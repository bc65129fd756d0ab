/**
 * Reads a blob, or a part of one, from front to back. What the front door sends is read from one of these, whether the bytes
 * rest in the store, are just arriving, or only pass through.
 */
export interface BlobReader {
  /**
   * Puts the next bytes at the start of `target` and returns how many there were; 0 at the end.
   *
   * Rejects where the rest cannot be had or turned out wrong. The client's connection must then be **cut**: what it got is
   * not the blob.
   */
  read(target: Buffer): Promise<number>;
  /** True where the next read waits for the disk and for nothing else: memory may be lent for it that others wait for. */
  readonly isAtHand?: boolean;
  /** Releases what the reader holds; a pending read rejects. Idempotent. */
  close(): void;
}

/** The bytes from `start` to `end` (inclusive; undefined: to the end of the blob). */
export interface ByteSpan {
  readonly start: number;
  readonly end: number | undefined;
}

export const WHOLE: ByteSpan = { start: 0, end: undefined };

/** What a pending read of a closed reader rejects with: nobody is there to be told. */
export class ReaderClosedError extends Error {
  override readonly name = 'ReaderClosedError';

  constructor() {
    super('The reader was closed while it waited for bytes');
  }
}
