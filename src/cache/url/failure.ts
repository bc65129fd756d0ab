import type { FailureKind, OriginFailure } from '../../oci/index.ts';
import type { UrlResponse } from './request.ts';

/** Whether an answer says that its upstream is in trouble, which may be over soon: then something older is better. */
export function isFailure({ status }: UrlResponse): boolean {
  return status >= 500 || status === 408 || status === 429;
}

/** For operators and clients. */
export function statusReason({ status }: UrlResponse): string {
  return `the upstream answered with the status ${status}`;
}

/** An upstream that answers, and is in trouble. Satisfies OriginFailure. */
export class UrlFailureError extends Error implements OriginFailure {
  override readonly name = 'UrlTroubleError';
  readonly kind: FailureKind;
  readonly upstream: string;
  readonly retryAfter: number | undefined;

  /** @param upstream how it is called */
  constructor(response: UrlResponse, upstream: string) {
    super(statusReason(response));
    this.kind = response.status === 429 ? 'throttled' : 'unavailable';
    this.upstream = upstream;
    this.retryAfter = retryAfterOf(response);
  }
}

/** Seconds an upstream asks to be left alone; a date, which few send, is not read. */
export function retryAfterOf({ headers }: UrlResponse): number | undefined {
  const seconds = headers['retry-after'] ?? '';
  return /^\d{1,6}$/.test(seconds) ? Number(seconds) : undefined;
}
