import { compileGlob } from '../lib/index.ts';
import type { StoredDelivery } from '../store/index.ts';
import type { Telemetry } from '../telemetry/index.ts';
import type { Attempt } from './attempt.ts';
import type { Journal } from './journal.ts';
import type { Report } from './reports.ts';
import { MAX_AGE, type RetryPolicy } from './schedule.ts';
import type { WebhookStatus } from './status.ts';
import { shownUrl, type WebhookSpec } from './webhook.ts';

/** The bounds of a queue: deliveries, and characters of their bodies. */
export const MAX_QUEUED = 1000;
const MAX_CHARACTERS = 4 * 1024 * 1024;

/** Failures in a row after which a success says that the receiver is back, and that what waits need not wait longer. */
const OUTAGE = 3;

/** No pause is longer, whatever a clock says that was set back. */
const LONGEST_WAIT = 2 * 3_600_000;

export interface HookParts {
  readonly telemetry: Telemetry;
  readonly journal: Pick<Journal, 'put' | 'remove'>;
  readonly policy: RetryPolicy;
  /** One attempt; rejects where the signal aborts. */
  readonly send: (spec: WebhookSpec, delivery: StoredDelivery, signal: AbortSignal) => Promise<Attempt>;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
}

/**
 * One webhook: what waits for it, and one attempt at a time.
 *
 * What never failed is sent in the order in which it was accepted. A delivery that failed goes behind those that are due.
 */
export class Hook {
  readonly #parts: HookParts;
  #spec: WebhookSpec;
  #wants: (name: string) => boolean;
  /** In the order in which they were accepted. */
  #queue: StoredDelivery[];
  #characters: number;
  #sending: { readonly id: string; readonly done: Promise<void>; readonly cut: AbortController } | undefined;
  #timer: NodeJS.Timeout | undefined;
  #state: WebhookStatus['state'] = 'unused';
  #isStopped = false;
  /** Whether a loss was reported since the queue was last empty. */
  #isLossKnown = false;
  /** In a row. */
  #failures = 0;
  #pausedUntil = 0;
  readonly #counts = { delivered: 0, failed: 0, givenUp: 0, dropped: 0 };
  #lastSuccessAt: number | undefined;
  #lastFailure: WebhookStatus['lastFailure'];

  /** @param stored what an earlier process left, oldest first */
  constructor(spec: WebhookSpec, { stored, ...parts }: HookParts & { readonly stored: readonly StoredDelivery[] }) {
    this.#parts = parts;
    this.#spec = spec;
    this.#wants = matcherOf(spec);
    const latest = parts.now() + LONGEST_WAIT;
    this.#queue = stored.map((each) => ({ ...each, dueAt: Math.min(each.dueAt, latest) }));
    this.#characters = stored.reduce((sum, { body }) => sum + body.length, 0);
    this.#bound();
    this.#run();
  }

  get spec(): WebhookSpec {
    return this.#spec;
  }

  get queued(): number {
    return this.#queue.length;
  }

  get status(): WebhookStatus {
    const { name, url, events, on } = this.#spec;
    const next = this.#state === 'gone' ? undefined : this.#earliest();
    return {
      hook: name,
      url: shownUrl(url),
      events,
      on,
      state: this.#state,
      queued: this.#queue.length,
      ...this.#counts,
      lastSuccessAt: this.#lastSuccessAt,
      lastFailure: this.#lastFailure,
      nextAttemptAt: next === undefined ? undefined : Math.round(Math.max(next.dueAt, this.#pausedUntil)),
    };
  }

  /** Whether this webhook reports it. */
  wants(report: Report): boolean {
    if (!this.#spec.events.includes(report.event)) return false;
    // `on` is about repositories.
    return 'detail' in report || this.#wants(`${report.registry}/${report.repository}`);
  }

  /** Takes other settings. What waits is sent by them, and a receiver that was gone is tried again. */
  configure(spec: WebhookSpec): void {
    if (spec.url !== this.#spec.url) this.#failures = 0;
    this.#spec = spec;
    this.#wants = matcherOf(spec);
    if (this.#state === 'gone') this.#state = 'unused';
    this.#pausedUntil = 0;
    this.#run();
  }

  /** Takes what is to be sent at once. Costs a push: it never waits and never throws. */
  accept(message: Omit<StoredDelivery, 'attempts' | 'dueAt'>): void {
    const delivery = { ...message, attempts: 0, dueAt: Math.floor(this.#parts.now()) };
    if (this.#state === 'gone') {
      this.#lose([delivery], 'the receiver answered 410 before');
      return;
    }
    this.#queue.push(delivery);
    this.#characters += delivery.body.length;
    this.#parts.journal.put(delivery);
    this.#bound();
    this.#run();
  }

  /** A test succeeded: the receiver takes events. */
  revive(): void {
    if (this.#state === 'gone') this.#state = 'working';
    this.#failures = 0;
    this.#sendAllNow();
    this.#run();
  }

  /** Sends nothing more, and keeps what waits for the next process. @param patience milliseconds for a running attempt */
  async stop(patience: number): Promise<void> {
    this.#isStopped = true;
    clearTimeout(this.#timer);
    const sending = this.#sending;
    if (sending === undefined) return;
    const timer = setTimeout(() => sending.cut.abort(), patience);
    await sending.done;
    clearTimeout(timer);
  }

  /** Sends nothing more, and forgets what waits. */
  remove(): void {
    this.#isStopped = true;
    clearTimeout(this.#timer);
    this.#sending?.cut.abort();
    if (this.#queue.length > 0) this.#loseAll('the webhook was removed from the configuration');
  }

  #earliest(): StoredDelivery | undefined {
    let first: StoredDelivery | undefined;
    for (const each of this.#queue) if (first === undefined || each.dueAt < first.dueAt) first = each;
    return first;
  }

  /** Sends what is due, or waits until something is. */
  #run(): void {
    if (this.#isStopped || this.#state === 'gone' || this.#sending !== undefined) return;
    clearTimeout(this.#timer);
    const next = this.#earliest();
    if (next === undefined) return;
    const wait = Math.max(next.dueAt, this.#pausedUntil) - this.#parts.now();
    if (wait > 0) {
      this.#timer = setTimeout(() => this.#run(), Math.min(wait, LONGEST_WAIT)).unref();
      return;
    }
    const cut = new AbortController();
    const done = this.#deliver(next, cut.signal).finally(() => {
      this.#sending = undefined;
      this.#run();
    });
    this.#sending = { id: next.id, done, cut };
  }

  /** Never rejects. */
  async #deliver(delivery: StoredDelivery, signal: AbortSignal): Promise<void> {
    let attempt: Attempt;
    try {
      attempt = await this.#parts.send(this.#spec, delivery, signal);
    } catch (error) {
      // The next process sends it again: the receiver knows the id, if it has it.
      if (signal.aborted) return;
      attempt = { outcome: 'failed', reason: error instanceof Error ? error.message : String(error), durationMs: 0 };
    }
    if (attempt.outcome === 'delivered') this.#delivered(delivery);
    else this.#failed(delivery, attempt);
  }

  #delivered(delivery: StoredDelivery): void {
    this.#counts.delivered += 1;
    this.#lastSuccessAt = Date.now();
    this.#take(delivery);
    this.#publish(delivery, 'delivered');
    const { telemetry } = this.#parts;
    const { name: hook } = this.#spec;
    if (this.#state === 'failing') telemetry.publish('webhook.state', { hook, state: 'working', queued: this.queued });
    this.#state = 'working';
    this.#pausedUntil = 0;
    if (this.#failures >= OUTAGE) this.#sendAllNow();
    this.#failures = 0;
    if (this.#queue.length === 0) this.#isLossKnown = false;
  }

  #failed(delivery: StoredDelivery, { outcome, reason = '', retryAfter = 0 }: Attempt): void {
    const { policy, telemetry, journal, now } = this.#parts;
    const { name: hook } = this.#spec;
    this.#counts.failed += 1;
    this.#lastFailure = { at: Date.now(), reason };
    this.#failures += 1;
    this.#pausedUntil = now() + Math.max(policy.pauseAfter(this.#failures), retryAfter);
    const before = this.#state;
    this.#state = outcome === 'gone' ? 'gone' : 'failing';
    if (this.#state !== before) {
      telemetry.publish('webhook.state', { hook, state: this.#state, reason, queued: this.queued });
    }
    if (outcome === 'gone') return this.#loseAll(reason);
    const at = this.#queue.findIndex(({ id }) => id === delivery.id);
    // It was dropped meanwhile.
    if (at === -1) return;
    const attempts = delivery.attempts + 1;
    const delay = policy.delayAfter(attempts);
    if (delay === undefined || now() - delivery.createdAt > MAX_AGE) {
      this.#take(delivery);
      this.#counts.givenUp += 1;
      this.#publish(delivery, 'given-up', reason);
      this.#reportLoss(1, `given up after ${attempts} attempts: ${reason}`);
      return;
    }
    const later = { ...delivery, attempts, dueAt: Math.round(now() + delay) };
    this.#queue[at] = later;
    journal.put(later);
    this.#publish(delivery, 'failed', reason);
  }

  /** Ends the waits of all deliveries; they keep their order. */
  #sendAllNow(): void {
    const now = this.#parts.now();
    this.#pausedUntil = 0;
    this.#queue = this.#queue.map((each) => (each.dueAt <= now ? each : { ...each, dueAt: Math.round(now) }));
  }

  #take(delivery: StoredDelivery): void {
    const at = this.#queue.findIndex(({ id }) => id === delivery.id);
    if (at === -1) return;
    this.#queue.splice(at, 1);
    this.#characters -= delivery.body.length;
    this.#parts.journal.remove(delivery.id);
  }

  /** Drops the oldest until the queue is within its bounds. The one that is being sent stays. */
  #bound(): void {
    while (this.#queue.length > MAX_QUEUED || this.#characters > MAX_CHARACTERS) {
      const oldest = this.#queue.find(({ id }) => id !== this.#sending?.id);
      if (oldest === undefined) return;
      this.#take(oldest);
      this.#lose([oldest], `the queue was full (${MAX_QUEUED} deliveries or 4 MiB), and the oldest were dropped`);
    }
  }

  #loseAll(reason: string): void {
    const lost = [...this.#queue];
    for (const each of lost) this.#take(each);
    this.#lose(lost, reason);
  }

  #lose(lost: readonly StoredDelivery[], reason: string): void {
    this.#counts.dropped += lost.length;
    for (const each of lost) this.#publish(each, 'dropped', reason);
    if (lost.length > 0) this.#reportLoss(lost.length, reason);
  }

  #reportLoss(deliveries: number, reason: string): void {
    if (this.#isLossKnown) return;
    this.#isLossKnown = true;
    this.#parts.telemetry.publish('webhook.lost', { hook: this.#spec.name, reason, deliveries });
  }

  #publish({ event, id }: StoredDelivery, outcome: 'delivered' | 'failed' | 'given-up' | 'dropped', reason?: string) {
    this.#parts.telemetry.publish('webhook.delivery', { hook: this.#spec.name, event, delivery: id, outcome, reason });
  }
}

function matcherOf({ on }: WebhookSpec): (name: string) => boolean {
  const compiled = on.map(compileGlob);
  return (name) => compiled.length === 0 || compiled.some((matches) => matches(name));
}
