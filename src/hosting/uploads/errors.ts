import { OciError, type Repository } from '../../oci/index.ts';
import { formatBytes } from '../../telemetry/index.ts';

/** The answer for an upload that never was, has ended, or is another client's: they look alike from outside. */
export function uploadUnknown(): OciError {
  return new OciError('BLOB_UPLOAD_UNKNOWN', 'no such upload in this repository; start one with POST');
}

export function uploadBusy(): OciError {
  return new OciError('BLOB_UPLOAD_INVALID', 'another request is at work on this upload; send one at a time', {
    status: 409,
    retryAfter: 1,
  });
}

/** @param limit how many there may be, and of what */
export function tooManyUploads(limit: string): OciError {
  // Spread, so that clients that were refused together do not come back together.
  const retryAfter = 3 + Math.floor(Math.random() * 8);
  return new OciError('TOOMANYREQUESTS', `${limit} uploads are open, which is the limit; finish or delete some`, {
    retryAfter,
  });
}

/** @param used bytes that the repository has; undefined where the blob alone is larger than the quota */
export function overQuota(
  { registry, repository }: Repository,
  { quota, size, used }: { readonly quota: number; readonly size: number; readonly used?: number },
): OciError {
  const name = `${registry}/${repository}`;
  const found =
    used === undefined
      ? `${name} may have ${formatBytes(quota)}, and this blob alone has ${formatBytes(size)} or more`
      : `${name} has ${formatBytes(used)} of ${formatBytes(quota)}, and this blob has ${formatBytes(size)}`;
  return new OciError(
    'DENIED',
    `quota: ${found}; have the quota raised, or delete images: what they alone need counts for another day`,
  );
}

/** The answer while the server stops: the upload goes on once it runs again. */
export function uploadsClosed(): OciError {
  return new OciError('UNAVAILABLE', 'the server stops; go on with this upload in a moment', { retryAfter: 3 });
}

/** @param end the size that the upload was to have with the body */
export function wrongSize(end: number, size: number): OciError {
  const found = size > end ? 'has more bytes' : `has ${end - size} bytes fewer`;
  return new OciError('SIZE_INVALID', `the body ${found} than its Content-Range says; none of it was kept`);
}

export function noRoom(cause?: unknown): OciError {
  return new OciError('UNAVAILABLE', 'the disk of this registry is full; try again later', { retryAfter: 30, cause });
}
