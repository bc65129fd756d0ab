import type { ByteSource } from '../lib/index.ts';

const MAX_BYTES = 64 * 1024;
const TIMEOUT_MS = 5_000;

/**
 * Reads an unwanted body to its end, so that its connection can be reused; cancels it where it is long or slow.
 *
 * @returns at most 64 KiB: enough for an error code
 */
export async function drain(body: ByteSource): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let length = 0;
  const timer = setTimeout(() => body.cancel(), TIMEOUT_MS);
  try {
    while (length < MAX_BYTES) {
      const chunk = await body.read();
      if (chunk === undefined) return Buffer.concat(chunks);
      // A chunk is valid until the next read only.
      chunks.push(Buffer.from(chunk.subarray(0, MAX_BYTES - length)));
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
