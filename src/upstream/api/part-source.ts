import type { ByteSource } from '../../lib/index.ts';
import { HttpError } from '../../net/index.ts';

/** Which part of a body is wanted. */
export interface PartOptions {
  /** Bytes to skip at the beginning; they are read and dropped. */
  readonly skip: number;
  /** The most bytes delivered after that; the rest of the body is cancelled. @default all */
  readonly limit?: number | undefined;
}

/** A part of a body whose sender ignores Range, without a copy. */
export function partOf(source: ByteSource, options: PartOptions): ByteSource {
  let skip = options.skip;
  let left = options.limit ?? Number.POSITIVE_INFINITY;
  return {
    async read() {
      for (;;) {
        if (left === 0) {
          source.cancel();
          return undefined;
        }
        const chunk = await source.read();
        if (chunk === undefined) {
          if (skip > 0) throw new HttpError('truncated', 'the body ended before the offset that was asked for');
          return undefined;
        }
        if (skip >= chunk.length) {
          skip -= chunk.length;
          continue;
        }
        const part =
          skip === 0 && chunk.length <= left ? chunk : chunk.subarray(skip, skip + Math.min(left, chunk.length));
        skip = 0;
        left -= part.length;
        return part;
      }
    },
    cancel: (reason) => source.cancel(reason),
  };
}
