import { HttpError, type HttpErrorCode } from '../../net/index.ts';
import type { UpstreamError } from '../error.ts';

/** Attempts of one request at one upstream. */
const MAX_ATTEMPTS = 2;
const BASE_DELAY_MS = 200;

export interface RetryContext {
  /** Attempts made, this failure's included. */
  readonly attempts: number;
  /** No other upstream is left. */
  readonly last: boolean;
  /** From 0 to below 1: spreads retries of requests that failed together. */
  readonly random: number;
}

/**
 * Milliseconds until the same upstream is tried again; undefined: never.
 *
 * The next upstream is the better second attempt, so only the last one is retried, and only after a failure that a second
 * connection may fix: a broken connection or a server error. A timeout would cost the client the same time again, a refused
 * connection or an unknown name means down, and a `Retry-After` is obeyed. A 429 is never retried: that prolongs the limit.
 */
export function retryDelay(error: UpstreamError, context: RetryContext): number | undefined {
  if (!context.last || context.attempts >= MAX_ATTEMPTS) return undefined;
  if (error.kind !== 'unavailable' || error.retryAfter !== undefined) return undefined;
  if (!isPassing(error)) return undefined;
  return Math.round(BASE_DELAY_MS * (1 + context.random));
}

const BROKEN: ReadonlySet<HttpErrorCode> = new Set(['tls-reset', 'reset', 'truncated']);

/** True for a failure that a second connection may fix. */
export function isPassing(error: UpstreamError): boolean {
  if (error.cause instanceof HttpError) return BROKEN.has(error.cause.code);
  return error.status === 500 || error.status === 502 || error.status === 503 || error.status === 504;
}
