/**
 * Reads a blob, or a part of one, from front to back. The server sends every body from one, whether the bytes are stored, are
 * still arriving, or only pass through.
 */
export interface BlobReader {
  /**
   * Puts the next bytes at the start of `target` and returns their number; 0 at the end.
   *
   * Rejects where the remaining bytes are unavailable or do not match the digest. The client's connection must then be
   * **cut**: the bytes already sent are not the blob.
   */
  read(target: Buffer): Promise<number>;
  /** True where the next read waits only for the disk: it may then use a buffer that other bodies are waiting for. */
  readonly isAtHand?: boolean;
  /** Set where the next bytes are verified and in a file: the kernel may then send them without a read. */
  readonly direct?: DirectReader | undefined;
  /** Releases what the reader holds; a pending read rejects. Idempotent. */
  close(): void;
}

/** Takes the next bytes of a blob without waiting. Both calls continue where the last one ended. */
export interface DirectReader {
  /**
   * Has the kernel copy the next bytes to a socket.
   *
   * @param socket descriptor of a socket with nothing queued to send
   * @returns bytes the socket took; 0 where its buffer is full, at the end, or where the bytes must be read instead
   */
  sendTo(socket: number): number;
  /** Puts the next bytes at the start of `target`; 0 at the end, or where a read would have to wait. */
  readNow(target: Buffer): number;
}

/** The bytes from `start` to `end` (inclusive; undefined: to the end of the blob). */
export interface ByteSpan {
  readonly start: number;
  readonly end: number | undefined;
}

export const WHOLE: ByteSpan = { start: 0, end: undefined };

/** The error of a read that was pending when its reader was closed. It is no failure to report: the reader's owner closed it. */
export class ReaderClosedError extends Error {
  override readonly name = 'ReaderClosedError';

  constructor() {
    super('The reader was closed while it waited for bytes');
  }
}
