import type { ByteSource } from './byte-source.ts';

interface DrainOptions {
  /** Bytes that are read at most. @default 64 KiB: enough for an error code */
  readonly limit?: number;
  /** Milliseconds that it may take. @default 5000 */
  readonly timeout?: number;
}

/**
 * Reads an unwanted body to its end, so that its connection can be reused; cancels it where it is long or slow. Never rejects: a body
 * that breaks off gives what has arrived.
 */
export async function drain(
  body: ByteSource,
  { limit = 64 * 1024, timeout = 5000 }: DrainOptions = {},
): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let length = 0;
  const timer = setTimeout(() => body.cancel(), timeout);
  try {
    while (length < limit) {
      const chunk = await body.read();
      if (chunk === undefined) return Buffer.concat(chunks);
      // A chunk is valid until the next read only.
      chunks.push(Buffer.from(chunk.subarray(0, limit - length)));
      length += chunk.length;
    }
  } catch {
    // It broke off or was cancelled: what has arrived is enough.
  } finally {
    clearTimeout(timer);
  }
  body.cancel();
  return Buffer.concat(chunks);
}
