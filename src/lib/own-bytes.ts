/**
 * The same bytes in memory of their own, for what is kept. A buffer may be a view of a larger one, such as the 8 KiB from which Node cuts
 * small buffers or that of a whole response, and keeps all of it: a cache would hold several times what its entries weigh.
 */
export function ownBytes(bytes: Buffer): Buffer {
  if (bytes.buffer.byteLength === bytes.length) return bytes;
  const own = Buffer.allocUnsafeSlow(bytes.length);
  bytes.copy(own);
  return own;
}
