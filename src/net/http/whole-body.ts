import type { ByteSource } from '../../lib/index.ts';
import { HttpError } from '../http-types.ts';

export interface WholeBodyOptions {
  /** Host and port, for messages. */
  readonly authority: string;
  /** What was announced. */
  readonly length: number | undefined;
  readonly maxBytes: number;
  /** Milliseconds for all of it. */
  readonly within: number;
}

/** What is kept at first of a body that does not say how long it is; it doubles from there. */
const FIRST_BYTES = 16 * 1024;

/**
 * Reads a body to its end into one buffer.
 *
 * Rejects with HttpError `too-large` at the first byte too many (before the first byte, where it is announced), `timeout`
 * where it is not complete `within` its time, and as the source does. The source is then cancelled, so its connection is
 * closed.
 */
export async function readWhole(source: ByteSource, options: WholeBodyOptions): Promise<Buffer> {
  const { authority, length, maxBytes, within } = options;
  function tooLarge(found: string): HttpError {
    const error = new HttpError(
      'too-large',
      `${authority} sent ${found}, of which at most ${maxBytes} bytes are taken`,
    );
    source.cancel(error);
    return error;
  }
  if (length !== undefined && length > maxBytes) throw tooLarge(`a body of ${length} bytes`);
  const timer = setTimeout(() => {
    const message = `${authority} did not answer in time: the body was not complete within ${within} ms`;
    source.cancel(new HttpError('timeout', message));
  }, within);
  try {
    let kept = Buffer.allocUnsafe(length ?? Math.min(FIRST_BYTES, maxBytes));
    let size = 0;
    for (let bytes = await source.read(); bytes !== undefined; bytes = await source.read()) {
      if (size + bytes.length > maxBytes) throw tooLarge(`a body without an end within ${size + bytes.length} bytes`);
      if (size + bytes.length > kept.length) {
        const larger = Buffer.allocUnsafe(Math.min(maxBytes, Math.max(size + bytes.length, kept.length * 2)));
        kept.copy(larger, 0, 0, size);
        kept = larger;
      }
      // Copied: what was read is valid only until the next read.
      size += bytes.copy(kept, size);
    }
    return kept.subarray(0, size);
  } finally {
    clearTimeout(timer);
  }
}
