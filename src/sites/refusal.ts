import { HttpError, type HttpErrorCode } from '../net/index.ts';
import { isOriginFailure, OciError } from '../oci/index.ts';
import { TextRefusal } from '../server/index.ts';

/** The gateway's status for a failure below HTTP (RFC 9110 §15.6). */
const STATUS_OF: Readonly<Partial<Record<HttpErrorCode, number>>> = { timeout: 504, idle: 504 };

/** The refusal that answers a failure; undefined for a defect of this server, whose details stay in the log. */
export function toTextRefusal(error: unknown): TextRefusal | undefined {
  if (error instanceof TextRefusal) return error;
  if (error instanceof OciError) return new TextRefusal(error.status, error.message, error.headers);
  const below = error instanceof HttpError ? error : (error as Error | undefined)?.cause;
  if (below instanceof HttpError) return new TextRefusal(STATUS_OF[below.code] ?? 502, (error as Error).message);
  if (!isOriginFailure(error)) return undefined;
  if (error.kind === 'offline') return new TextRefusal(404, `${error.message}, and this is not stored here`);
  return new TextRefusal(error.kind === 'unavailable' ? 503 : 502, error.message);
}
