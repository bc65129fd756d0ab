import type { WebhookEvent } from './reports.ts';

/** How a webhook is doing. Counts are those since the start; times are milliseconds since the epoch. */
export interface WebhookStatus {
  readonly hook: string;
  /** Without its query. */
  readonly url: string;
  readonly events: readonly WebhookEvent[];
  readonly on: readonly string[];
  /** `unused`: nothing was sent yet. `failing`: the last attempt failed. `gone`: it answered 410, and nothing is sent. */
  readonly state: 'unused' | 'working' | 'failing' | 'gone';
  /** Deliveries that wait. */
  readonly queued: number;
  readonly delivered: number;
  /** Attempts that failed. */
  readonly failed: number;
  /** Deliveries that were given up after all attempts. */
  readonly givenUp: number;
  /** Deliveries that were dropped without a further attempt. */
  readonly dropped: number;
  readonly lastSuccessAt: number | undefined;
  readonly lastFailure: { readonly at: number; readonly reason: string } | undefined;
  /** When the next delivery that waits is tried. */
  readonly nextAttemptAt: number | undefined;
}

/** What came of a test. */
export interface TestResult {
  readonly hook: string;
  /** Without its query. */
  readonly url: string;
  readonly isTaken: boolean;
  /** Undefined where no answer came. */
  readonly status: number | undefined;
  /** Why it failed. */
  readonly reason: string | undefined;
  /** The beginning of the answer's body, 4 KiB at most. */
  readonly answer: string | undefined;
  readonly durationMs: number;
}
