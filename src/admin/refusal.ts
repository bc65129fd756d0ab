import { AccountError } from '../access/index.ts';
import { HoldError } from '../cache/index.ts';
import { OciError } from '../oci/index.ts';
import { isFullDisk } from '../store/index.ts';

/** An operation that cannot be done as it was asked for. The message says why, and the remedy. */
export class OperationError extends Error {
  override readonly name = 'OperationError';
}

/** What an operation refuses, as an HTTP status. */
export interface Refusal {
  readonly status: 403 | 404 | 409 | 422 | 429 | 502 | 503 | 507;
  readonly message: string;
}

/**
 * What an error of an operation says to its caller; undefined for a defect, whose message is not for clients. 404: what was named is not
 * there; 409: the state of it does not allow the change; 422: it cannot be asked for; 507 (RFC 4918 §11.5): the disk has no room for it.
 */
export function refusalOf(error: unknown): Refusal | undefined {
  if (isOfFullDisk(error)) return { status: 507, message: isExplained(error) ? error.message : FULL_DISK };
  if (error instanceof OperationError) return { status: 422, message: error.message };
  if (error instanceof AccountError || error instanceof HoldError) return { status: 409, message: error.message };
  if (!(error instanceof OciError) || error.code === 'UNKNOWN') return undefined;
  const { status, message } = error;
  // The codes of the registry API are for requests of it: what is invalid or not supported there cannot be asked for here.
  if (status === 403 || status === 404 || status === 409 || status === 429 || status === 503)
    return { status, message };
  return status >= 500 ? { status: 502, message } : { status: 422, message };
}

/** Whether the message was written for the caller: it says what became of what was asked for. */
function isExplained(error: unknown): error is Error {
  return error instanceof OperationError || error instanceof AccountError || error instanceof HoldError;
}

const FULL_DISK =
  'the disk of the server is full, and nothing can be written; free space on it, or remove what is cached: `entrepot purge IMAGE`, or `entrepot gc --max-size SIZE`';

/** Causes of one error that are looked at: an error may be its own cause. */
const MAX_CAUSES = 8;

function isOfFullDisk(error: unknown): boolean {
  let each = error;
  for (let depth = 0; depth < MAX_CAUSES && each instanceof Error; depth += 1) {
    if (isFullDisk(each)) return true;
    each = each.cause;
  }
  return false;
}
