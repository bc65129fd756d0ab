import { OciError } from '../../oci/index.ts';

/** Where a chunk lies in its blob: the bytes from `start` up to `end`, that one not included. */
export interface Chunk {
  readonly start: number;
  readonly end: number;
}

// Without a unit (distribution-spec, "Pushing a blob in chunks"). Older clients send it as RFC 9110, section 14.4, has it.
const CHUNK = /^(?:bytes[ =])?(\d{1,15})-(\d{1,15})(?:\/(?:\d{1,15}|\*))?$/;

/**
 * Reads the `Content-Range` of a chunk; undefined where there is none, and the bytes simply come next.
 *
 * @param length bytes of the body; undefined where they are not announced
 * @throws {OciError} RANGE_INVALID with 400 for a malformed one; SIZE_INVALID where the body has another length
 */
export function parseChunk(header: string | undefined, length: number | undefined): Chunk | undefined {
  if (header === undefined) return undefined;
  const [, first = '', last = ''] = CHUNK.exec(header.trim()) ?? [];
  const chunk: Chunk = { start: Number(first), end: Number(last) + 1 };
  if (first === '' || chunk.end <= chunk.start) {
    const found = JSON.stringify(header.slice(0, 50));
    throw new OciError('RANGE_INVALID', `Content-Range is ${found}; expected first-last, as in 0-1023`, {
      status: 400,
    });
  }
  const window = chunk.end - chunk.start;
  if (length !== undefined && length !== window) {
    throw new OciError('SIZE_INVALID', `the body has ${length} bytes, and its Content-Range ${window}`);
  }
  return chunk;
}
