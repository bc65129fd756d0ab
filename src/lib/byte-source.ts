/**
 * A stream of bytes that is read by pulling, without a fresh buffer for each chunk.
 *
 * The body of a layer passes here, so the contract is stricter than a Node stream's: one reader, one `read()` at a
 * time, and a chunk is **valid only until the next `read()`** (its memory is used again).
 */
export interface ByteSource {
  /** The next bytes, or undefined at the end. Rejects where the body broke off; then the source is finished. */
  read(): Promise<Buffer | undefined>;
  /** Gives up what was not read. Idempotent; a pending `read()` rejects. */
  cancel(reason?: Error): void;
}

/** A source of bytes that are in memory already. */
export function byteSourceOf(chunks: readonly Buffer[]): ByteSource {
  let next = 0;
  return {
    read: () => Promise.resolve(chunks[next++]),
    cancel: () => {
      next = chunks.length;
    },
  };
}
