/** `closed`: requests pass; `open`: none does; `half-open`: one request, the next or a running one, is the probe. */
export type CircuitState = 'closed' | 'open' | 'half-open';

export interface CircuitFailure {
  readonly kind: 'unavailable' | 'throttled';
  /**
   * `at-once`: a second attempt would fail as well, often after a timeout, so one failure opens the circuit. `in-a-row`:
   * only this connection or request may be affected, so it takes {@link FAILURES_IN_A_ROW}.
   */
  readonly opens: 'at-once' | 'in-a-row';
  /** For operators and clients alike: names no repository. */
  readonly reason: string;
  /** Seconds, from `Retry-After`. */
  readonly retryAfter: number | undefined;
}

/** Why a request is not sent. */
export interface CircuitRefusal {
  readonly kind: CircuitFailure['kind'];
  readonly reason: string;
  /** When the first failure happened, in milliseconds since the epoch. */
  readonly since: number;
  /** Milliseconds until a request may be sent. */
  readonly wait: number;
  readonly state: 'open' | 'half-open';
}

/** Enough to tell an upstream that is down from one bad answer: one request is sent twice at most. */
export const FAILURES_IN_A_ROW = 3;

const BASE_MS = 1_000;
const MAX_BACK_OFF_MS = 60_000;
const MAX_THROTTLED_MS = 15 * 60_000;
/** After this time a probe that never reported back is given up. */
const PROBE_LEASE_MS = 60_000;
/** The wait that is reported while a probe runs. */
const PROBE_WAIT_MS = 1_000;

/**
 * Milliseconds a circuit stays open.
 *
 * The upstream's `Retry-After`, within bounds: 1 s to 15 min for a 429, 1 s to 1 min otherwise. Without one, a random time
 * from 1 s to a bound that doubles from 1 s to 60 s, so that replicas which failed together do not return together. The
 * minimum of 1 s keeps a dead upstream from being dialled twice at once.
 *
 * @param openings since it was last closed, this one included
 * @param random from 0 to below 1
 */
export function openFor(failure: CircuitFailure, { openings, random }: { openings: number; random: number }): number {
  if (failure.retryAfter !== undefined) {
    const most = failure.kind === 'throttled' ? MAX_THROTTLED_MS : MAX_BACK_OFF_MS;
    return Math.min(Math.max(failure.retryAfter * 1000, BASE_MS), most);
  }
  const bound = Math.min(BASE_MS * 2 ** (openings - 1), MAX_BACK_OFF_MS);
  return Math.round(BASE_MS + random * (bound - BASE_MS));
}

/** Options of {@link Circuit}. */
export interface CircuitOptions {
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  /** From 0 to below 1. */
  readonly random: () => number;
}

/**
 * A circuit breaker: remembers a failure, so that later requests need not repeat it.
 *
 * Nothing is polled: when the circuit's time is over, the next request is the probe, and others are refused meanwhile. A
 * request that began before the circuit last changed does not count: a hundred requests that were running when an upstream
 * died are one failure, not a hundred doublings.
 */
export class Circuit {
  readonly #options: CircuitOptions;
  #state: CircuitState = 'closed';
  /** Counts the changes of state: a request belongs to the state it began in. */
  #generation = 0;
  #failures = 0;
  #openings = 0;
  /** While open: from when to when. While half-open: since when, and when the probe is given up. */
  #from = 0;
  #until = 0;
  #since = 0;
  #last: CircuitFailure | undefined;

  constructor(options: CircuitOptions) {
    this.#options = options;
  }

  /** Undefined where a request may be sent now. */
  refusal(): CircuitRefusal | undefined {
    if (this.#state === 'closed' || this.#last === undefined || this.#isOver()) return undefined;
    const { kind, reason } = this.#last;
    const wait = this.#state === 'open' ? this.#until - this.#options.now() : PROBE_WAIT_MS;
    return { kind, reason, since: this.#since, wait, state: this.#state };
  }

  /**
   * Begins a request, which {@link refusal} must allow; where the circuit is not closed, it is the probe.
   *
   * @returns the ticket to settle it by, and whether the circuit has just become half-open
   */
  enter(): { readonly ticket: number; readonly changed: boolean } {
    if (this.#state === 'closed') return { ticket: this.#generation, changed: false };
    const changed = this.#state === 'open';
    this.#become('half-open', this.#options.now() + PROBE_LEASE_MS);
    return { ticket: this.#generation, changed };
  }

  /** The request was answered. @returns true where that closed the circuit */
  succeed(ticket: number): boolean {
    if (ticket !== this.#generation) return false;
    this.#failures = 0;
    if (this.#state === 'closed') return false;
    this.#openings = 0;
    this.#last = undefined;
    this.#become('closed', 0);
    return true;
  }

  /** The request failed. @returns the milliseconds for which the circuit has opened, or undefined where it has not */
  fail(ticket: number, failure: CircuitFailure): number | undefined {
    if (ticket !== this.#generation) return undefined;
    const now = this.#options.now();
    if (this.#state === 'closed' && this.#failures === 0) this.#since = now;
    this.#failures += 1;
    const opens = failure.opens === 'at-once' || this.#state === 'half-open' || this.#failures >= FAILURES_IN_A_ROW;
    if (!opens) return undefined;
    this.#openings += 1;
    this.#last = failure;
    const wait = openFor(failure, { openings: this.#openings, random: this.#options.random() });
    this.#become('open', now + wait);
    return wait;
  }

  /** The request ended without a result, as its client left. The next one is the probe. */
  release(ticket: number): void {
    if (ticket === this.#generation && this.#state === 'half-open') this.#become('open', this.#options.now());
  }

  /** For display. An open circuit whose time is over is shown as half-open. */
  view(): { state: CircuitState; until: number; since: number; reason: string } | undefined {
    if (this.#state === 'closed' || this.#last === undefined) return undefined;
    const state = this.#isOver() ? 'half-open' : this.#state;
    return { state, until: this.#until, since: this.#since, reason: this.#last.reason };
  }

  /** Also true where the clock was set back. */
  #isOver(): boolean {
    const now = this.#options.now();
    return now >= this.#until || now < this.#from;
  }

  #become(state: CircuitState, until: number): void {
    this.#state = state;
    this.#from = this.#options.now();
    this.#until = until;
    this.#generation += 1;
  }
}
