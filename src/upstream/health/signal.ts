import { HttpError } from '../../net/index.ts';
import { UpstreamError } from '../error.ts';
import type { CircuitFailure } from './circuit.ts';
import { isPassing } from './retry.ts';

/**
 * What came of a question, as a sign of the upstream's health.
 *
 * `answered` it is there, whatever it said; `failed` it is not, or has had enough: `everywhere` that holds for every
 * question, else for those of the same kind; `nothing` was learnt.
 */
export type HealthSignal =
  | { readonly kind: 'answered' }
  | { readonly kind: 'failed'; readonly failure: CircuitFailure; readonly everywhere: boolean }
  | { readonly kind: 'nothing' };

const ANSWERED: HealthSignal = { kind: 'answered' };
const NOTHING: HealthSignal = { kind: 'nothing' };

/** What is known of an answer. */
export interface JudgedAnswer {
  readonly status: number;
  /** Seconds. */
  readonly retryAfter: number | undefined;
  /** It came from where the upstream sent us. */
  readonly redirected: boolean;
}

/**
 * What an answer's status says. That content is missing, forbidden or of no use says that somebody is there. A 501 or 505
 * is about the method, and so is the 403 of a storage whose URL was signed for another one.
 *
 * A 429 is for the kind of question it was given to: Docker Hub's for pulls leaves HEAD and blobs free. A storage that
 * fails says nothing about the registry that led there.
 */
export function judgeAnswer({ status, retryAfter, redirected }: JudgedAnswer): HealthSignal {
  const reason = `it answered ${status}`;
  if (status === 429) {
    return { kind: 'failed', failure: { kind: 'throttled', opens: 'at-once', reason, retryAfter }, everywhere: false };
  }
  if (status !== 408 && (status < 500 || status === 501 || status === 505)) return ANSWERED;
  // An upstream that names a time has said it as clearly as 429 does.
  const opens = retryAfter === undefined ? 'in-a-row' : 'at-once';
  return { kind: 'failed', failure: { kind: 'unavailable', opens, reason, retryAfter }, everywhere: !redirected };
}

/**
 * What an error says: of the exchange itself, or of the token service's answer. An abort says nothing, and neither does
 * what went wrong before anything was sent, such as a credential that cannot be read.
 */
export function judgeError(error: unknown): HealthSignal {
  if (!(error instanceof UpstreamError)) return NOTHING;
  const { status, retryAfter, redirected, cause, kind } = error;
  if (status !== undefined) return judgeAnswer({ status, retryAfter, redirected });
  if (kind !== 'unavailable' || !(cause instanceof HttpError)) return NOTHING;
  const opens = isPassing(error) ? 'in-a-row' : 'at-once';
  return { kind: 'failed', failure: { kind, opens, reason: cause.message, retryAfter }, everywhere: !redirected };
}

/** What it says that a body broke off before its first byte. One that broke off later has shown that bytes come. */
export function judgeBody(error: unknown): HealthSignal {
  if (!(error instanceof HttpError) || error.code === 'aborted') return NOTHING;
  const opens = error.code === 'truncated' ? 'in-a-row' : 'at-once';
  const failure = { kind: 'unavailable', opens, reason: error.message, retryAfter: undefined } as const;
  return { kind: 'failed', failure, everywhere: false };
}
