import { abortable, Recent } from '../../lib/index.ts';
import { isOriginFailure } from '../../oci/index.ts';
import { BackOff, LONGEST_DELAY } from './back-off.ts';
import { type Asked, Flight } from './flight.ts';
import type { NegativeCache } from './negative-cache.ts';

/** The default of `staleAfter`. */
const DEFAULT_STALE_AFTER = 2000;

/** Milliseconds that a registry stays listed: longer than the longest back-off, so that the next question renews it. */
const LISTED_FOR = LONGEST_DELAY + 60_000;

/** Node fires a longer timer at once. */
const LONGEST_TIMER = 2 ** 31 - 1;

interface RevalidationOptions<A> {
  /** Milliseconds after which a stale record is served while the origin has not answered. @default 2000 */
  readonly staleAfter?: (() => number | undefined) | undefined;
  /** Remembers what the origin does not have; undefined: the origin is asked each time. */
  readonly negativeCache?: NegativeCache | undefined;
  /** Frees an answer that no request claimed; see {@link Flight}. */
  readonly release?: ((answer: A) => void) | undefined;
  /** Whether an answer is for the request alone that asked; see {@link Flight}. */
  readonly isForAsker?: ((answer: A) => boolean) | undefined;
  readonly now?: (() => number) | undefined;
}

/** Identifies a record, its registry, and the upstream named in warnings. */
export interface RevalidationKey {
  /** Unique among the records; requests with the same id and the same `hops` share one question. */
  readonly id: string;
  /** Servers that the request had passed before this one; see `OriginSource.hops`. @default 0 */
  readonly hops?: number | undefined;
  /** The registry or site: once it is slow for one record, requests for its other records get stale answers at once. */
  readonly registry: string;
  /** The name of the upstream, for warnings. */
  readonly upstream: string;
}

/** How a record is revalidated: what only its owner knows. */
export interface Question<A, R> {
  /**
   * Asks the origin, for every request that comes meanwhile. What it throws counts as a failure that may be over soon.
   *
   * @param isAwaited whether a request still waits for the answer
   */
  readonly ask: (isAwaited: () => boolean) => Promise<Asked<A>>;
  /**
   * Serves the stored record as stale, undefined where its bytes are lost. Undefined where nothing is stored, or what is
   * stored must not be served stale.
   */
  readonly stale: ((reason: string) => Promise<R | undefined>) | undefined;
  /** Serves what the origin answered. */
  readonly answer: (answer: A, how: Answering) => Promise<R>;
  readonly signal?: AbortSignal | undefined;
}

export interface Answering {
  /** True where an earlier request had asked already. */
  readonly joined: boolean;
  /** True for the request that asked, once: an answer that is for it alone is its own to use and free. */
  readonly claim: () => boolean;
}

/**
 * Revalidates records that are no longer fresh: asks the origin once for all requests that wait, and serves the stored
 * record as stale where the origin fails or takes too long.
 *
 *   not found lately ─────────────────────────────▶ that error
 *   backing off ──────────────────────────────────▶ stale, the origin is left alone
 *   registry unresponsive ────────────────────────▶ stale, the origin is asked in the background
 *   asked ─┬─ answer ─────────────────────────────▶ that answer
 *          ├─ nothing within `staleAfter` ────────▶ stale, the question goes on
 *          ├─ failure ────────────────────────────▶ stale, and back off
 *          └─ refusal, or nothing may be stale ───▶ the failure
 *
 * After a refusal every request waits for the origin, however slow it is.
 */
export class Revalidation<A> {
  readonly #options: RevalidationOptions<A>;
  readonly #flights = new Map<string, Flight<A>>();
  readonly #backOff: BackOff;
  /**
   * The registries that did not answer in time. While a registry is listed, stale tags are served at once and revalidated in
   * the background, so an outage delays one request, not every tag.
   */
  readonly #unresponsive: Recent;

  constructor(options: RevalidationOptions<A> = {}) {
    this.#options = options;
    const { now = Date.now } = options;
    this.#backOff = new BackOff(now);
    this.#unresponsive = new Recent({ most: 1000, lasts: LISTED_FOR, now });
  }

  /** Whether the origin is being asked for a record. */
  isAsking(key: RevalidationKey): boolean {
    return this.#flights.has(flightOf(key));
  }

  /** Rejects with the failure of the origin where no stored record may be served, and with the signal's reason. */
  async get<R>(key: RevalidationKey, question: Question<A, R>): Promise<R> {
    this.#options.negativeCache?.assertNotMissing(key.id);
    const failure = this.#backOff.get(key.id);
    const unasked = await this.serveUnasked(key, question);
    if (unasked !== undefined) {
      if (failure === undefined || !this.#backOff.isBackingOff(failure)) this.#start(key, question);
      return unasked;
    }
    const joined = this.isAsking(key);
    const flight = this.#start(key, question);
    const leave = flight.join({ isAsker: !joined });
    try {
      const { stale, answer, signal } = question;
      if (stale !== undefined && failure?.isRefusal !== true && (await abortable(isLate(flight), signal))) {
        const late = await stale(`${key.upstream} has not answered within ${this.#staleAfter / 1000} s`);
        if (late !== undefined) return late;
      }
      const asked = await abortable(flight.resolution, signal);
      if (asked.failure?.isRefusal === false) {
        const instead = await stale?.(asked.failure.error.message);
        if (instead !== undefined) return instead;
      }
      if (asked.answer === undefined) throw asked.failure?.error;
      return await answer(asked.answer, { joined, claim: () => !joined && flight.claim() });
    } finally {
      leave();
    }
  }

  /** Serves the stored record as stale where requests do not wait for the origin now; undefined where they do. */
  async serveUnasked<R>(key: RevalidationKey, { stale }: Pick<Question<A, R>, 'stale'>): Promise<R | undefined> {
    const failure = this.#backOff.get(key.id);
    if (stale === undefined || failure?.isRefusal === true) return undefined;
    const isBackingOff = failure !== undefined && this.#backOff.isBackingOff(failure);
    if (!isBackingOff && !this.#unresponsive.has(key.registry)) return undefined;
    return stale(failure?.error.message ?? `${key.upstream} has not answered lately`);
  }

  /** Asks the origin now, whatever is remembered of its failures. Rejects with the failure. */
  async refresh<R>(key: RevalidationKey, question: Question<A, R>): Promise<A> {
    this.#options.negativeCache?.forget(key.id);
    const { answer, failure } = await this.#start(key, question).resolution;
    if (answer === undefined || failure !== undefined) throw failure?.error;
    return answer;
  }

  /** Forgets which records failed and which registries do not answer. */
  clearFailures(): void {
    this.#backOff.clear();
    this.#unresponsive.clear();
  }

  /** Resolves when the questions under way have been answered. */
  async settled(): Promise<void> {
    await Promise.all([...this.#flights.values()].map(({ resolution }) => resolution));
  }

  get #staleAfter(): number {
    return Math.min(this.#options.staleAfter?.() ?? DEFAULT_STALE_AFTER, LONGEST_TIMER);
  }

  /** The question under way, or a new one. */
  #start<R>(key: RevalidationKey, question: Question<A, R>): Flight<A> {
    const running = this.#flights.get(flightOf(key));
    if (running !== undefined) return running;
    const flight = new Flight<A>(question.ask, {
      lateAfter: this.#staleAfter,
      onLate: () => this.#unresponsive.add(key.registry),
      release: this.#options.release,
      isForAsker: this.#options.isForAsker,
    });
    this.#flights.set(flightOf(key), flight);
    const mayServeStale = question.stale !== undefined;
    void flight.resolution.then((asked) => this.#settle(key, asked, { mayServeStale }));
    return flight;
  }

  #settle(key: RevalidationKey, asked: Asked<A>, { mayServeStale }: { readonly mayServeStale: boolean }): void {
    const { negativeCache } = this.#options;
    const { id, registry } = key;
    this.#flights.delete(flightOf(key));
    const { failure, answer } = asked;
    const kind = isOriginFailure(failure?.error) ? failure.error.kind : undefined;
    if (answer !== undefined || (kind !== undefined && kind !== 'unavailable')) this.#unresponsive.delete(registry);
    if (failure === undefined) {
      this.#backOff.answered(id);
      negativeCache?.forget(id);
      return;
    }
    // The next request may come another way.
    if (kind === 'loop') return;
    // Only a record that may be served stale: otherwise requests for names that do not exist would push out the failures that count.
    if (mayServeStale) this.#backOff.failed(id, failure.error, failure);
    if (kind === 'not-found' && failure.isRefusal) negativeCache?.note(id, failure.error);
  }
}

/** The questions of requests that have passed as many servers are one. */
function flightOf({ id, hops = 0 }: RevalidationKey): string {
  return `${hops} ${id}`;
}

function isLate(flight: Pick<Flight<unknown>, 'resolution' | 'late'>): Promise<boolean> {
  return Promise.race([flight.resolution.then(() => false), flight.late.then(() => true)]);
}
