import { type BlobReader, WHOLE } from '../../lib/index.ts';
import { type Digest, parseRange, rangeInvalid } from '../../oci/index.ts';
import type { CacheOutcome } from '../../telemetry/index.ts';
import type { CheckedBlob, Verification } from '../integrity/index.ts';
import { StoredReader } from '../transfer/index.ts';

/** Why a manifest or blob is answered as it is, in words for operators. */
export const REASONS = {
  stored: 'it is stored',
  missing: 'it is not stored',
  joined: 'it is being fetched for another request',
  range: 'it is not stored, and the range is far from what has come of it',
} as const;

/** What is known about a blob before its first byte. */
export interface BlobHead {
  /** Bytes of the whole blob; undefined where they are not known yet. */
  readonly size: number | undefined;
  readonly outcome: CacheOutcome;
  /** Why that. */
  readonly reason?: string | undefined;
  /** The upstream that answered, where one was asked. */
  readonly upstream: string | undefined;
}

export interface BlobAnswer extends BlobHead {
  /** The answer is 206 with this span; undefined: 200 with the whole. */
  readonly part: { readonly start: number; readonly end: number } | undefined;
  /** The caller closes it. */
  readonly reader: BlobReader;
}

/**
 * The answer from a stored blob, whose file it closes where the range lies behind the end.
 *
 * @param options `range`: the `Range` header. `verification` is told where the file cannot be read to its end
 * @throws {OciError} RANGE_INVALID
 */
export function answerStored(
  { blob, inspection }: CheckedBlob,
  options: { readonly digest: Digest; readonly range: string | undefined; readonly verification: Verification },
): BlobAnswer {
  const { digest, range, verification } = options;
  let part: BlobAnswer['part'];
  try {
    part = partOf(range, blob.size);
  } catch (error) {
    blob.close().catch(() => {});
    throw error;
  }
  return {
    size: blob.size,
    outcome: 'HIT',
    reason: REASONS.stored,
    upstream: undefined,
    part,
    reader: new StoredReader(blob, part ?? WHOLE, {
      inspection,
      onCorruption: (corruption) => verification.quarantine(digest, corruption, blob.mark),
    }),
  };
}

function partOf(header: string | undefined, size: number): BlobAnswer['part'] {
  const range = parseRange(header, size);
  if (range.kind === 'unsatisfiable') throw rangeInvalid(size);
  return range.kind === 'whole' ? undefined : { start: range.start, end: range.end ?? size - 1 };
}
