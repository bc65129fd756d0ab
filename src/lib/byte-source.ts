/**
 * A pulled stream of bytes, without a new buffer for each chunk.
 *
 * Bodies of layers pass through it, so its contract is stricter than a Node stream's: one reader, one `read()` at a time,
 * and a chunk is **valid only until the next `read()`**, which reuses its memory.
 */
export interface ByteSource {
  /** The next bytes, or undefined at the end. Rejects where the body ended early; the source is then finished. */
  read(): Promise<Buffer | undefined>;
  /** Discards the unread bytes. Idempotent; a pending `read()` rejects. */
  cancel(reason?: Error): void;
}

/** A source of bytes in memory. */
export function byteSourceOf(chunks: readonly Buffer[]): ByteSource {
  let next = 0;
  return {
    read: () => Promise.resolve(chunks[next++]),
    cancel: () => {
      next = chunks.length;
    },
  };
}
