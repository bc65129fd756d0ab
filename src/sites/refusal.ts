import { HttpError, type HttpErrorCode } from '../net/index.ts';
import { isOriginFailure, OciError } from '../oci/index.ts';
import { OverloadError } from '../server/index.ts';

/** Why a mirror route gives no answer of its site's, as the client is told: a status and a sentence. */
export class MirrorRefusal extends Error {
  override readonly name = 'MirrorRefusal';
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;

  constructor(status: number, message: string, headers: Readonly<Record<string, string>> = {}) {
    super(message);
    this.status = status;
    this.headers = headers;
  }
}

/** What a failure below HTTP is called by whoever stands between (RFC 9110 §15.6). */
const STATUS_OF: Readonly<Partial<Record<HttpErrorCode, number>>> = { timeout: 504, idle: 504 };

/** What a client is told of a failure; undefined where it is our own, of which it is told nothing. */
export function toMirrorRefusal(error: unknown): MirrorRefusal | undefined {
  if (error instanceof MirrorRefusal) return error;
  if (error instanceof OverloadError) {
    return new MirrorRefusal(error.status, error.message, { 'retry-after': String(error.retryAfter) });
  }
  if (error instanceof OciError) return new MirrorRefusal(error.status, error.message);
  const below = error instanceof HttpError ? error : (error as Error | undefined)?.cause;
  if (below instanceof HttpError) return new MirrorRefusal(STATUS_OF[below.code] ?? 502, (error as Error).message);
  if (!isOriginFailure(error)) return undefined;
  return new MirrorRefusal(error.kind === 'unavailable' ? 503 : 502, error.message);
}
