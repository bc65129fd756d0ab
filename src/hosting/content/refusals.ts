import { OciError } from '../../oci/index.ts';

// The code is DENIED in all of these. Clients show the message behind it, and try nothing else: podman and skopeo push an image again in
// another format after MANIFEST_INVALID, TAG_INVALID and UNSUPPORTED, and again unchanged after a code that they do not know.

/** 405, as the specification wants it of a deletion that is disabled. */
export function deleteRefused(message: string, allow: string): OciError {
  return new OciError('DENIED', message, { status: 405, headers: { allow } });
}

/** 409: a push against the present state, which the client can look at. */
export function pushConflicts(message: string): OciError {
  return new OciError('DENIED', message, { status: 409 });
}

/** 412: the condition of the request does not hold (RFC 9110, section 13.1). */
export function conditionFailed(message: string): OciError {
  return new OciError('DENIED', message, { status: 412 });
}
