import type { FailureKind } from '../../oci/index.ts';
import { OriginError } from '../origin-error.ts';
import type { OriginFailed } from '../revalidation/index.ts';
import type { UrlResponse } from './request.ts';

/** What a response says against its upstream; undefined where it is an answer like any other. */
export function failureOf(response: UrlResponse, upstream: string): OriginFailed | undefined {
  const { status, blockedBy } = response;
  if (blockedBy !== undefined) {
    const message = `the upstream is blocked by ${blockedBy} (status ${status})`;
    const options = { kind: 'unavailable', upstream, retryAfter: retryAfterOf(response) } as const;
    return { error: new OriginError(message, options), isRefusal: false };
  }
  const isRefusal = status === 401 || status === 403;
  const isTemporary = status >= 500 || status === 408 || status === 429;
  if (!isRefusal && !isTemporary) return undefined;
  const message = `the upstream answered with the status ${status}`;
  const options = { kind: failureKindOf(status), upstream, retryAfter: retryAfterOf(response) };
  return { error: new OriginError(message, options), isRefusal };
}

/** The kind of failure that a status stands for, where the body was expected with 200 or 206. */
export function failureKindOf(status: number): FailureKind {
  if (status === 429) return 'throttled';
  if (status === 508) return 'loop';
  if (status === 408 || status >= 500) return 'unavailable';
  if (status === 401 || status === 403) return 'denied';
  return status === 404 || status === 410 ? 'not-found' : 'invalid';
}

/** Seconds of `Retry-After` (RFC 9110, section 10.2.3); a date, which few upstreams send, is not read. */
export function retryAfterOf({ headers }: UrlResponse): number | undefined {
  const seconds = headers['retry-after'] ?? '';
  return /^\d{1,6}$/.test(seconds) ? Number(seconds) : undefined;
}
