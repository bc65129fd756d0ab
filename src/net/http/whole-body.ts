import type { ByteSource } from '../../lib/index.ts';
import { HttpError } from '../http-types.ts';

interface WholeBodyOptions {
  /** Host and port, for messages. */
  readonly authority: string;
  /** The announced length; undefined where there is none. */
  readonly length: number | undefined;
  readonly maxBytes: number;
  /** Milliseconds for the whole body. */
  readonly within: number;
}

/** The first buffer for a body of unknown length; it doubles as needed. */
const FIRST_BYTES = 16 * 1024;

/**
 * Reads a body to its end into one buffer.
 *
 * Rejects with HttpError `too-large` at the first byte beyond `maxBytes` (or before the body, by its announced length), with
 * `timeout` where the body is not complete in time, and with the source's errors. The source is then cancelled, which closes
 * its connection.
 */
export async function readWhole(source: ByteSource, options: WholeBodyOptions): Promise<Buffer> {
  const { authority, length, maxBytes, within } = options;
  function tooLarge(found: string): HttpError {
    const error = new HttpError('too-large', `${authority} sent ${found}, but at most ${maxBytes} bytes are accepted`);
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
      // Copied: a chunk is valid only until the next read.
      size += bytes.copy(kept, size);
    }
    return kept.subarray(0, size);
  } finally {
    clearTimeout(timer);
  }
}
