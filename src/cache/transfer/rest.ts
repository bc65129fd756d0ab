import type { BlobReader, ByteSpan } from '../../lib/index.ts';
import type { Digest, Digester, OpenBlobOptions, OriginBlob } from '../../oci/index.ts';
import { OriginReader } from './origin-reader.ts';

/** A transfer that gets no more bytes into its file. */
interface Interrupted {
  readonly size: number | undefined;
  readonly digest: Digest | undefined;
  readonly open: (options: OpenBlobOptions) => Promise<OriginBlob>;
  /** A digester that has seen everything before a position. */
  readonly digesterAt: (position: number, digest: Digest, signal: AbortSignal) => Promise<Digester>;
  /** Whether all that came so far is of an upstream. */
  readonly isOnlyOf: (upstream: string) => boolean;
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
  { size, digest: expect, open, digesterAt, isOnlyOf, signal }: Interrupted,
): Promise<BlobReader> {
  const options = { offset: position, signal, end: span.end };
  if (span.start > 0 || span.end !== undefined || expect === undefined) {
    return new OriginReader(await open(options), { end: span.end, size });
  }
  const digester = await digesterAt(position, expect, signal);
  const blob = await open(options);
  // Where others sent what came before, a wrong digest says nothing about this one.
  const { giveUp: _, ...rest } = blob;
  return new OriginReader(isOnlyOf(blob.upstream) ? blob : rest, { expect, digester, size });
}
