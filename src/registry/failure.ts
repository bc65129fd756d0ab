import { type ErrorCode, isOriginFailure, loopDetected, OciError, type OriginFailure } from '../oci/index.ts';
import { OverloadError } from '../server/index.ts';

/** What a request reads, and so which error says that no upstream has it. */
export type Wanted = 'manifest' | 'blob' | 'list';

const UNKNOWN: Readonly<Record<Wanted, ErrorCode>> = {
  manifest: 'MANIFEST_UNKNOWN',
  blob: 'BLOB_UNKNOWN',
  list: 'NAME_UNKNOWN',
};

const OFFLINE_REMEDY =
  'The operator can carry it in: `entrepot export` where there is an upstream, `entrepot import` here';

/**
 * The error that answers a failure; undefined for a defect of this server, whose details stay in the log.
 *
 * On each of these a client falls back to the next mirror or the registry itself. A failure is therefore never a 200.
 */
export function toOciError(error: unknown, wanted: Wanted): OciError | undefined {
  if (error instanceof OciError) return error;
  if (error instanceof OverloadError) {
    const { message, status, retryAfter } = error;
    return new OciError('TOOMANYREQUESTS', message, { status, retryAfter, cause: error });
  }
  return isOriginFailure(error) ? fromFailure(error, wanted) : undefined;
}

function fromFailure(failure: OriginFailure, wanted: Wanted): OciError {
  const { kind, message, retryAfter } = failure;
  const options = { cause: failure, ...(retryAfter === undefined ? {} : { retryAfter }) };
  switch (kind) {
    case 'not-found':
    // Absent and forbidden look alike from outside: a client that may not see a repository never learns that it exists.
    case 'denied':
      return new OciError(UNKNOWN[wanted], message, options);
    case 'throttled':
      return new OciError('TOOMANYREQUESTS', message, options);
    case 'unavailable':
      return new OciError('UNAVAILABLE', message, options);
    case 'offline':
      return new OciError(
        UNKNOWN[wanted],
        `${message}, and this is not stored here, or is private. ${OFFLINE_REMEDY}`,
        options,
      );
    case 'loop':
      return loopDetected(message, failure);
    case 'invalid':
      return new OciError('UNAVAILABLE', message, { ...options, status: 502 });
  }
}
