import { HttpError } from '../../net/index.ts';
import { UpstreamError } from '../error.ts';
import type { CircuitFailure } from './circuit.ts';
import { isPassing } from './retry.ts';

/**
 * What a request's outcome says about the upstream's health.
 *
 * `answered`: the upstream responds, whatever the answer; `failed`: it is down or throttles, `everywhere` for all requests,
 * otherwise for those of the same kind; `nothing`: no conclusion.
 */
export type HealthSignal =
  | { readonly kind: 'answered' }
  | { readonly kind: 'failed'; readonly failure: CircuitFailure; readonly everywhere: boolean }
  | { readonly kind: 'nothing' };

const ANSWERED: HealthSignal = { kind: 'answered' };
const NOTHING: HealthSignal = { kind: 'nothing' };

const ABOUT_THE_REQUEST: readonly number[] = [501, 505, 508];

export interface JudgedAnswer {
  readonly status: number;
  /** Seconds. */
  readonly retryAfter: number | undefined;
  /** A redirect led to it. */
  readonly redirected: boolean;
  /** What blocked the request, where that can be told. */
  readonly blockedBy?: string | undefined;
}

/**
 * What an answer's status says. Missing, forbidden or useless content comes from an upstream that responds. A 501 or 505 is
 * about the method, a 508 about the way of the one request, and so is the 403 of a storage whose URL was signed for another method.
 *
 * A 429 is about one kind of request: Docker Hub's for pulls leaves HEAD and blobs free. A failing storage says nothing
 * about the registry that redirected to it.
 */
export function judgeAnswer({ status, retryAfter, redirected, blockedBy }: JudgedAnswer): HealthSignal {
  const reason = `it answered ${status}${blockedBy === undefined ? '' : `, blocked by ${blockedBy}`}`;
  if (status === 429) {
    return { kind: 'failed', failure: { kind: 'throttled', opens: 'at-once', reason, retryAfter }, everywhere: false };
  }
  if (status !== 408 && (status < 500 || ABOUT_THE_REQUEST.includes(status))) return ANSWERED;
  // A Retry-After is as clear as a 429.
  const opens = retryAfter === undefined ? 'in-a-row' : 'at-once';
  return { kind: 'failed', failure: { kind: 'unavailable', opens, reason, retryAfter }, everywhere: !redirected };
}

/**
 * What an error of the exchange, or the token service's answer, says. An abort says nothing, and neither does an error
 * before anything was sent, such as a credential that cannot be read.
 */
export function judgeError(error: unknown): HealthSignal {
  if (!(error instanceof UpstreamError)) return NOTHING;
  const { status, retryAfter, redirected, cause, kind } = error;
  if (status !== undefined) return judgeAnswer({ status, retryAfter, redirected });
  if (kind !== 'unavailable' || !(cause instanceof HttpError)) return NOTHING;
  const opens = isPassing(error) ? 'in-a-row' : 'at-once';
  return { kind: 'failed', failure: { kind, opens, reason: cause.message, retryAfter }, everywhere: !redirected };
}

/** What a body that broke off before its first byte says. One that breaks off later has proved that bytes arrive. */
export function judgeBody(error: unknown): HealthSignal {
  if (!(error instanceof HttpError) || error.code === 'aborted') return NOTHING;
  const opens = error.code === 'truncated' ? 'in-a-row' : 'at-once';
  const failure = { kind: 'unavailable', opens, reason: error.message, retryAfter: undefined } as const;
  return { kind: 'failed', failure, everywhere: false };
}
