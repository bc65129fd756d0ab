import { HttpError } from '../../net/index.ts';
import type { UpstreamError } from '../error.ts';

/** How often one upstream is asked one question. */
const MAX_ATTEMPTS = 2;
const BASE_DELAY_MS = 200;

/** What a retry is decided by. */
export interface RetryContext {
  /** Attempts made, this failure's included. */
  readonly attempts: number;
  /** No other upstream is left to ask. */
  readonly last: boolean;
  /** From 0 to below 1: spreads the retries of those who failed together. */
  readonly random: number;
}

/**
 * Milliseconds after which the same upstream is asked again, or undefined where that would not do.
 *
 * The next upstream is the better second attempt, so only the last one gets another, and only after what a second
 * connection may well cure: a broken connection, a server error. What took its time (a timeout) would take it again while
 * somebody waits, a refused connection or an unknown name means down, and an upstream that named a time is believed:
 * 429 is never retried, as that is how one limit becomes a longer one.
 */
export function retryDelay(error: UpstreamError, context: RetryContext): number | undefined {
  if (!context.last || context.attempts >= MAX_ATTEMPTS) return undefined;
  if (error.kind !== 'unavailable' || error.retryAfter !== undefined) return undefined;
  if (!isPassing(error)) return undefined;
  return Math.round(BASE_DELAY_MS * (1 + context.random));
}

/** True for a failure that a second connection may well cure. */
export function isPassing(error: UpstreamError): boolean {
  if (error.cause instanceof HttpError) return error.cause.code === 'reset' || error.cause.code === 'truncated';
  return error.status === 500 || error.status === 502 || error.status === 503 || error.status === 504;
}
