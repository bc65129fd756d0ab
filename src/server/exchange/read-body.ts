import { OciError } from '../../oci/index.ts';
import type { RequestContext } from './context.ts';
import { bodyOf } from './incoming-body.ts';

interface ReadBodyOptions {
  /** Bytes. */
  readonly limit: number;
  /** For messages: `a manifest`. */
  readonly what: string;
  /** Milliseconds that the client may take for all of it. @default 60_000 */
  readonly deadline?: number;
  /** Bytes of such bodies that are in memory at once, of all requests that are not answered yet. @default 128 MiB */
  readonly together?: number;
}

const DEADLINE = 60_000;
const TOGETHER = 128 * 1024 * 1024;

/** Bytes in memory of the bodies of requests that are not answered yet. */
let held = 0;

/**
 * The whole body of a request, which is refused before it is read where its length says that it is too large.
 *
 * @throws {OciError} SIZE_INVALID with 413; UNAVAILABLE with 408 where the client takes too long, and with 503 where the bodies of all
 * requests together are too large
 */
export async function readBody(context: RequestContext, options: ReadBodyOptions): Promise<Buffer> {
  const { limit, what, deadline = DEADLINE, together = TOGETHER } = options;
  const tooLarge = (): OciError =>
    new OciError('SIZE_INVALID', `${what} has at most ${limit} bytes`, {
      status: 413,
      headers: { connection: 'close' },
    });
  const body = bodyOf(context);
  if (body === undefined) return Buffer.alloc(0);
  const { source, length = 0 } = body;
  if (length > limit) {
    source.cancel();
    throw tooLarge();
  }
  let isLate = false;
  const timer = setTimeout(() => {
    isLate = true;
    source.cancel();
  }, deadline);
  const pieces: Buffer[] = [];
  let size = 0;
  // Many clients that stop before the last byte would fill the memory.
  const { response } = context;
  let counted = 0;
  response.once('close', () => {
    held -= counted;
    counted = 0;
  });
  try {
    for (let piece = await source.read(); piece !== undefined; piece = await source.read()) {
      size += piece.length;
      if (!response.closed) {
        held += piece.length;
        counted += piece.length;
      }
      if (size > limit) throw tooLarge();
      if (held > together) throw tooManyBytes();
      pieces.push(piece);
    }
    return Buffer.concat(pieces, size);
  } catch (error) {
    source.cancel();
    if (!isLate) throw error;
    throw new OciError('UNAVAILABLE', `${what} did not come within ${deadline / 1000} s`, {
      status: 408,
      headers: { connection: 'close' },
      cause: error,
    });
  } finally {
    clearTimeout(timer);
  }
}

function tooManyBytes(): OciError {
  return new OciError('UNAVAILABLE', 'too many large requests at once; try again', {
    retryAfter: 1,
    headers: { connection: 'close' },
  });
}
