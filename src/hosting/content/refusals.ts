import { OciError } from '../../oci/index.ts';
import { isFullDisk } from '../../store/index.ts';
import type { Telemetry } from '../../telemetry/index.ts';

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

/** Does work on the disk. One that is full is an answer of the protocol, and a warning to the operator. @throws {OciError} UNAVAILABLE */
export async function onDisk<Result>(telemetry: Telemetry, work: () => Promise<Result>): Promise<Result> {
  try {
    return await work();
  } catch (error) {
    if (!isFullDisk(error)) throw error;
    telemetry.publish('warning', {
      message:
        'Cannot change a hosted repository: the disk is full. Free some space, or delete images that are not needed',
      error,
    });
    throw new OciError('UNAVAILABLE', 'the disk of this registry is full; try again later', {
      retryAfter: 30,
      cause: error,
    });
  }
}
