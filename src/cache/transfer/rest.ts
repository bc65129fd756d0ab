import type { BlobReader, ByteSpan } from '../../lib/index.ts';
import { type Digest, Digester, digestAlgorithm, type OpenBlobOptions, type OriginBlob } from '../../oci/index.ts';
import type { GrowingBytes } from './growing-bytes.ts';
import { OriginReader } from './origin-reader.ts';

/** Bytes that are hashed at once. */
const PIECE = 256 * 1024;

/** A transfer that gets no more bytes into its file. */
interface Interrupted {
  readonly size: number | undefined;
  readonly digest: Digest | undefined;
  readonly bytes: Pick<GrowingBytes, 'readFile'>;
  readonly open: (options: OpenBlobOptions) => Promise<OriginBlob>;
  /** What had been hashed before the file began. */
  readonly before: { readonly position: number; readonly digester: Digester } | undefined;
  readonly signal: AbortSignal;
}

/**
 * The rest of a span, for a follower that has had everything before `position` and gets no more from the file.
 *
 * The whole blob is still verified before its last byte, where its digest is known: what the file holds is hashed again
 * first.
 */
export async function openRest(
  span: ByteSpan,
  position: number,
  { size, digest: expect, bytes, open, before: hashedBefore, signal }: Interrupted,
): Promise<BlobReader> {
  const options = { offset: position, signal, end: span.end };
  if (span.start > 0 || span.end !== undefined || expect === undefined) {
    return new OriginReader(await open(options), { end: span.end, size });
  }
  const before = hashedBefore !== undefined && hashedBefore.position <= position ? hashedBefore : undefined;
  const digester = before?.digester.copy() ?? digesterOf(expect);
  const buffer = Buffer.allocUnsafe(PIECE);
  for (let hashed = before?.position ?? 0; hashed < position; ) {
    const piece = buffer.subarray(0, Math.min(buffer.length, position - hashed));
    const count = await readBack(bytes, piece, hashed);
    digester.update(piece.subarray(0, count));
    hashed += count;
    signal.throwIfAborted();
  }
  return new OriginReader(await open(options), { expect, digester, size });
}

/** Reads bytes of a growing file that must be there. @returns how many */
export async function readBack(
  bytes: Pick<GrowingBytes, 'readFile'>,
  target: Buffer,
  position: number,
): Promise<number> {
  const count = await bytes.readFile(target, position);
  if (count === 0) throw new Error('Cannot read the growing file as it is shorter than what was written to it');
  return count;
}

export function digesterOf(digest: Digest | undefined): Digester {
  return new Digester(digest === undefined ? 'sha256' : digestAlgorithm(digest));
}
