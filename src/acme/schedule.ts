import type { RenewalWindow } from './renewal-info.ts';

/* When certificates are ordered: everything here is pure. Times are milliseconds since the epoch. */

/** What the schedule needs to know of a stored certificate. */
export interface CertificateLife {
  /** Its DNS names. */
  readonly names: readonly string[];
  readonly validFrom: number;
  readonly expiresAt: number;
  /** When it was stored here. */
  readonly storedAt: number;
}

/** The orders that failed since the last certificate. */
export interface OrderFailure {
  /** In a row; at least 1. */
  readonly failures: number;
  readonly attemptedAt: number;
  readonly nextAttemptAt: number;
  /** What the last one ended with, for the operator. */
  readonly error: string;
}

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
/** Between a certificate and the next order, however short its life is. */
const LEAST_DISTANCE = 10_000;

/**
 * The waits after one, two, three … failed orders; the last one stays. Let's Encrypt allows five failed proofs of a domain in
 * an hour: the first hour has four.
 */
const WAITS = [MINUTE, 5 * MINUTE, 15 * MINUTE, 45 * MINUTE, 2 * HOUR, 6 * HOUR];
/** The wait after `rateLimited`, where the server does not say. */
const RATE_LIMITED = HOUR;
/** A longer wait that a server asks for is cut: the certificate may expire meanwhile. */
const LONGEST_WAIT = DAY;
/** An operator's reload tries a failed order again at once, but not sooner than this after the last attempt. */
const RELOAD_WAIT = 15 * MINUTE;

/** What decides when a certificate is ordered. */
interface Standing {
  readonly certificate: CertificateLife | undefined;
  readonly domains: readonly string[];
  readonly window: RenewalWindow | undefined;
  /** From 0 to 1, the same for the life of the process: spreads the load of the ACME server. */
  readonly jitter: number;
}

/**
 * When a certificate is to be ordered, back-off included: at once where there is none or where its names are not the
 * configured domains; else at two thirds of its life, or in the window of the ACME server.
 */
export function orderAt({
  failure,
  now,
  ...standing
}: Standing & { readonly failure: OrderFailure | undefined; readonly now: number }): number {
  const due = renewAt(standing);
  // A failure of the future was written by a wrong clock.
  return failure === undefined || failure.attemptedAt > now ? due : Math.max(due, failure.nextAttemptAt);
}

function renewAt({ certificate, domains, window, jitter }: Standing): number {
  if (certificate === undefined || !hasNames(certificate.names, domains)) return 0;
  const { validFrom, expiresAt, storedAt } = certificate;
  const life = expiresAt - validFrom;
  // Of 90 days, the jitter is at most 36 hours.
  const usual = validFrom + (life * 2) / 3 + jitter * (life / 60);
  const wanted = window === undefined ? usual : window.start + jitter * (window.end - window.start);
  // Where every new certificate is due at once (a window in the past, a wrong clock), one order must not follow the other.
  const soonest = storedAt + Math.max(LEAST_DISTANCE, Math.min(DAY, life / 3));
  return Math.max(soonest, Math.min(wanted, expiresAt - life / 10));
}

/** Whether the names of a certificate are these domains, in any order. */
export function hasNames(names: readonly string[], domains: readonly string[]): boolean {
  const found = new Set(names.map((name) => name.toLowerCase()));
  return found.size === domains.length && domains.every((domain) => found.has(domain));
}

/** What is remembered of a failed order. @param jitter from 0 to 1 */
export function afterFailure({
  earlier,
  error,
  isRateLimited,
  retryAfter,
  now,
  jitter,
}: {
  readonly earlier: OrderFailure | undefined;
  readonly error: string;
  readonly isRateLimited: boolean;
  /** Milliseconds that the ACME server asks to wait. */
  readonly retryAfter: number | undefined;
  readonly now: number;
  readonly jitter: number;
}): OrderFailure {
  const failures = (earlier?.failures ?? 0) + 1;
  const usual = (WAITS[Math.min(failures, WAITS.length) - 1] ?? 0) * (1 + jitter / 10);
  const asked = retryAfter ?? (isRateLimited ? RATE_LIMITED : 0);
  return { failures, attemptedAt: now, nextAttemptAt: now + Math.max(usual, Math.min(asked, LONGEST_WAIT)), error };
}

/** The same failure after an operator's reload: what it was caused by may be repaired. */
export function afterReload(failure: OrderFailure): OrderFailure {
  return { ...failure, nextAttemptAt: Math.min(failure.nextAttemptAt, failure.attemptedAt + RELOAD_WAIT) };
}
