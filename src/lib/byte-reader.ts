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
  /** Set where the next bytes are known to be right and lie in a file: they may then be sent from there without being read. */
  readonly direct?: DirectReader | undefined;
  /** Releases what the reader holds; a pending read rejects. Idempotent. */
  close(): void;
}

/** Takes the next bytes of a blob at once, or not at all: neither call waits. Both go on from where the last one ended. */
export interface DirectReader {
  /**
   * Has the kernel bring the next bytes to a socket.
   *
   * @param socket descriptor of a socket in which nothing waits to be sent
   * @returns bytes the socket took; 0 where it has no room, at the end, or where they must be read
   */
  sendTo(socket: number): number;
  /** Puts the next bytes at the start of `target`; 0 at the end, or where they must be waited for. */
  readNow(target: Buffer): number;
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
