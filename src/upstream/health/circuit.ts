/** `closed` all goes through; `open` nothing does; `half-open` the next question, or the one that is out, is the probe. */
export type CircuitState = 'closed' | 'open' | 'half-open';

/** A failure as a circuit sees it. */
export interface CircuitFailure {
  readonly kind: 'unavailable' | 'throttled';
  /**
   * `at-once`: a second try would fail as well, and often only after a time-out, so one opens the circuit. `in-a-row`: it
   * may well have been this one connection or question, so it takes {@link FAILURES_IN_A_ROW}.
   */
  readonly opens: 'at-once' | 'in-a-row';
  /** For operators and clients alike: names no repository. */
  readonly reason: string;
  /** Seconds it asked us to wait. */
  readonly retryAfter: number | undefined;
}

/** Why a question is not asked. */
export interface CircuitRefusal {
  readonly kind: CircuitFailure['kind'];
  readonly reason: string;
  /** When the trouble began, in milliseconds since the epoch. */
  readonly since: number;
  /** Milliseconds until a question may be asked. */
  readonly wait: number;
  readonly state: 'open' | 'half-open';
}

/** Enough to tell an upstream that is down from one bad answer: one question is asked twice at most. */
export const FAILURES_IN_A_ROW = 3;

const BASE_MS = 1_000;
const MAX_BACK_OFF_MS = 60_000;
const MAX_THROTTLED_MS = 15 * 60_000;
/** What a probe is waited for when nobody answers whoever had asked: it never reported back. */
const PROBE_LEASE_MS = 60_000;
/** What somebody is told to wait who comes while the probe is out. */
const PROBE_WAIT_MS = 1_000;

/**
 * Milliseconds a circuit stays open.
 *
 * What the upstream asked for, within bounds: 1 s to 15 min where it throttles, to 1 min where it is down. Else anything
 * from 1 s to a bound that doubles from 1 s to 60 s, so that replicas that failed together do not come back together. The
 * second at the bottom is why this is not jitter over the whole: it could be nothing, and a dead upstream be dialled twice.
 *
 * @param openings how often it opened since it was last closed, this time included
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
 * Remembers that something is out of order, so that not everybody has to find out.
 *
 * Nothing is polled: when its time is over, the next question is the probe, and whoever comes meanwhile is refused. What
 * was asked before the circuit changed says nothing of how it is now, and is not counted: a hundred questions that were
 * under way when an upstream died are one failure, not a hundred doublings.
 */
export class Circuit {
  readonly #options: CircuitOptions;
  #state: CircuitState = 'closed';
  /** Counts the changes of state: a question belongs to the one it was asked in. */
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

  /** What keeps a question from being asked now; undefined where it may be. */
  refusal(): CircuitRefusal | undefined {
    if (this.#state === 'closed' || this.#last === undefined || this.#isOver()) return undefined;
    const { kind, reason } = this.#last;
    const wait = this.#state === 'open' ? this.#until - this.#options.now() : PROBE_WAIT_MS;
    return { kind, reason, since: this.#since, wait, state: this.#state };
  }

  /**
   * Begins a question, which must not be refused now; where the circuit is not closed, it is the probe.
   *
   * @returns what to settle it by, and whether the circuit has just become half-open
   */
  enter(): { readonly ticket: number; readonly changed: boolean } {
    if (this.#state === 'closed') return { ticket: this.#generation, changed: false };
    const changed = this.#state === 'open';
    this.#become('half-open', this.#options.now() + PROBE_LEASE_MS);
    return { ticket: this.#generation, changed };
  }

  /** The question was answered. @returns true where that closed the circuit */
  succeed(ticket: number): boolean {
    if (ticket !== this.#generation) return false;
    this.#failures = 0;
    if (this.#state === 'closed') return false;
    this.#openings = 0;
    this.#last = undefined;
    this.#become('closed', 0);
    return true;
  }

  /** The question failed. @returns the milliseconds for which the circuit has opened, or undefined where it has not */
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

  /** The question ended without anything to learn from: whoever asked has left. The next one is the probe. */
  release(ticket: number): void {
    if (ticket === this.#generation && this.#state === 'half-open') this.#become('open', this.#options.now());
  }

  /** As it is now, for people. An open circuit whose time is over is half-open: the next question will be the probe. */
  view(): { state: CircuitState; until: number; since: number; reason: string } | undefined {
    if (this.#state === 'closed' || this.#last === undefined) return undefined;
    const state = this.#isOver() ? 'half-open' : this.#state;
    return { state, until: this.#until, since: this.#since, reason: this.#last.reason };
  }

  /** A clock that was set back ends it too: nobody waits for an hour to come round again. */
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
