import {
  type ErrorCode,
  isOriginFailure,
  loopDetected,
  OciError,
  type PushFailure,
  type PushRefusal,
} from '../../oci/index.ts';

/** The codes of an upstream that a client is told as they are (distribution-spec, "Error Codes"). */
const PASSED: ReadonlySet<string> = new Set<ErrorCode>([
  'BLOB_UNKNOWN',
  'BLOB_UPLOAD_INVALID',
  'BLOB_UPLOAD_UNKNOWN',
  'DENIED',
  'DIGEST_INVALID',
  'MANIFEST_BLOB_UNKNOWN',
  'MANIFEST_INVALID',
  'MANIFEST_UNKNOWN',
  'NAME_INVALID',
  'NAME_UNKNOWN',
  'RANGE_INVALID',
  'SIZE_INVALID',
  'TOOMANYREQUESTS',
  'UNSUPPORTED',
]);

/** Seconds after which a client may try again where the upstream names none. */
const RETRY_AFTER = 5;

/**
 * The error that answers a push that an upstream did not take: in the meaning of the upstream, but never a challenge. A 401 would
 * make the client log in to this server again, and it is this server's credential that was refused.
 */
export function toPushError(error: unknown, unknown: ErrorCode): unknown {
  if (!isOriginFailure(error)) return error;
  const failure: PushFailure = error;
  const { kind, message, retryAfter, said } = failure;
  if (kind === 'throttled') {
    return new OciError('TOOMANYREQUESTS', message, { retryAfter: retryAfter ?? RETRY_AFTER, cause: error });
  }
  if (kind === 'unavailable') {
    return new OciError('UNAVAILABLE', message, { retryAfter: retryAfter ?? RETRY_AFTER, cause: error });
  }
  if (kind === 'offline')
    return new OciError('UNAVAILABLE', `${message}, so nothing can be pushed to one`, { cause: error });
  if (kind === 'loop') return loopDetected(message, error);
  if (said !== undefined && said.status < 500) return refusedBy(failure, said, unknown);
  if (kind === 'denied') return new OciError('DENIED', credentialRefused(failure), { cause: error });
  if (kind === 'not-found') return new OciError(unknown, message, { cause: error });
  return new OciError('UNAVAILABLE', message, { status: 502, cause: error });
}

function refusedBy(failure: PushFailure, said: PushRefusal, unknown: ErrorCode): OciError {
  const { status, code = '', message, range } = said;
  const words = [code, message].filter((each) => each !== undefined && each !== '').join(': ');
  const text = words === '' ? failure.message : `${failure.upstream} refuses it: ${words}`;
  if (status === 401 || status === 403) {
    const isPassed = status === 403 && code !== '' && code !== 'UNAUTHORIZED';
    return new OciError('DENIED', isPassed ? text : credentialRefused(failure), { cause: failure });
  }
  const headers: Record<string, string> = range === undefined ? {} : { range };
  return new OciError(codeFor(status, code, unknown), text, { status, headers, cause: failure });
}

function codeFor(status: number, code: string, unknown: ErrorCode): ErrorCode {
  if (PASSED.has(code)) return code as ErrorCode;
  if (status === 404) return unknown;
  if (status === 405) return 'UNSUPPORTED';
  if (status === 413) return 'SIZE_INVALID';
  if (status === 416) return 'RANGE_INVALID';
  return 'UNKNOWN';
}

function credentialRefused({ upstream, message }: PushFailure): string {
  return `${upstream} takes no push with the credential of this server, or has none of it; the operator sets credentials that may push for this upstream (${message})`;
}
