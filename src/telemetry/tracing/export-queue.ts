import type { Span } from './span.ts';

/** What became of a batch. `retry`: the collector may take it later; `after`: not before so many milliseconds. */
export type Delivery =
  | { readonly kind: 'taken'; readonly rejected: number; readonly reason: string | undefined }
  | { readonly kind: 'retry'; readonly reason: string; readonly after: number | undefined }
  | { readonly kind: 'refused'; readonly reason: string };

/** Sends one batch to the collector. Rejects only when the signal aborts. */
export type SendSpans = (body: string, signal: AbortSignal) => Promise<Delivery>;

interface ExportQueueOptions {
  readonly encode: (spans: readonly Span[]) => string;
  readonly send: SendSpans;
  /** Milliseconds for one attempt. */
  readonly timeout: number;
  /** Called with the fate of every span, once. */
  readonly onFate: (outcome: 'exported' | 'failed' | 'dropped', spans: number) => void;
  /** Called with the reason of each failed attempt, and with undefined after one that succeeded. */
  readonly onAttempt: (reason: string | undefined) => void;
  /** Milliseconds until a batch that is not full is sent. @default 5000 */
  readonly interval?: number;
  /** Milliseconds before the first repetition; doubled for each further one. @default 1000 */
  readonly backOff?: number;
}

/** Spans that wait. Further ones are dropped. */
export const MAX_WAITING = 2048;

/** Spans in a batch. Encoding one takes about two milliseconds, in which no request is served. */
export const MAX_BATCH = 128;

/** Attempts for a batch. */
const MAX_ATTEMPTS = 4;

/** Milliseconds: a collector may ask for more, and does not get it. */
const MAX_BACK_OFF = 30_000;

/**
 * Sends spans in batches, one batch at a time, while others wait in a bounded queue. {@link add} costs a push: it never
 * waits and never throws.
 */
export class ExportQueue {
  readonly #options: ExportQueueOptions;
  readonly #closing = new AbortController();
  #waiting: Span[] = [];
  #timer: NodeJS.Timeout | undefined;
  #work: Promise<void> | undefined;
  /** Ends the pause before a repetition. */
  #wake: (() => void) | undefined;
  #isClosed = false;

  constructor(options: ExportQueueOptions) {
    this.#options = options;
  }

  add(span: Span): void {
    if (this.#isClosed || this.#waiting.length >= MAX_WAITING) {
      this.#options.onFate('dropped', 1);
      return;
    }
    this.#waiting.push(span);
    if (this.#work !== undefined) return;
    if (this.#waiting.length >= MAX_BATCH) this.#start();
    else this.#timer ??= setTimeout(() => this.#start(), this.#options.interval ?? 5000).unref();
  }

  /**
   * Sends what waits, each batch once, until the deadline, and drops the rest.
   *
   * @param deadline as `performance.now()` counts
   */
  async close(deadline: number): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    clearTimeout(this.#timer);
    const left = Math.max(0, Math.ceil(deadline - performance.now()));
    const timer = setTimeout(() => this.#closing.abort(), left);
    this.#wake?.();
    await this.#work;
    if (!this.#closing.signal.aborted) await this.#sendAll();
    clearTimeout(timer);
    this.#drop(this.#waiting.splice(0));
  }

  #start(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#work ??= this.#sendAll().finally(() => {
      this.#work = undefined;
      // What came meanwhile and fills no batch.
      if (!this.#isClosed && this.#waiting.length > 0) {
        this.#timer ??= setTimeout(() => this.#start(), this.#options.interval ?? 5000).unref();
      }
    });
  }

  /** At least one batch, then full ones; when closing, all. */
  async #sendAll(): Promise<void> {
    do {
      await this.#deliver(this.#waiting.splice(0, MAX_BATCH));
    } while (this.#waiting.length >= (this.#isClosed ? 1 : MAX_BATCH) && !this.#closing.signal.aborted);
  }

  async #deliver(spans: readonly Span[]): Promise<void> {
    if (spans.length === 0) return;
    const { encode, onFate, onAttempt } = this.#options;
    const body = encode(spans);
    for (let attempt = 1; ; attempt += 1) {
      const delivery = await this.#attempt(body);
      if (delivery === undefined) return this.#drop(spans);
      if (delivery.kind === 'taken') {
        const rejected = Math.min(delivery.rejected, spans.length);
        onAttempt(rejected > 0 ? delivery.reason : undefined);
        if (rejected < spans.length) onFate('exported', spans.length - rejected);
        if (rejected > 0) onFate('failed', rejected);
        return;
      }
      onAttempt(delivery.reason);
      if (delivery.kind === 'refused' || attempt >= MAX_ATTEMPTS || this.#isClosed) {
        onFate('failed', spans.length);
        return;
      }
      await this.#pause(delivery.after ?? (this.#options.backOff ?? 1000) * 2 ** (attempt - 1));
    }
  }

  /** Undefined where the queue was closed before the collector answered. */
  async #attempt(body: string): Promise<Delivery | undefined> {
    const { send, timeout } = this.#options;
    const late = AbortSignal.timeout(timeout);
    try {
      return await send(body, AbortSignal.any([this.#closing.signal, late]));
    } catch (error) {
      if (this.#closing.signal.aborted) return undefined;
      if (late.aborted) return { kind: 'retry', reason: `no answer within ${timeout / 1000} s`, after: undefined };
      return { kind: 'refused', reason: error instanceof Error ? error.message : String(error) };
    }
  }

  /** Waits before a repetition; a close ends it. */
  #pause(milliseconds: number): Promise<void> {
    if (this.#isClosed) return Promise.resolve();
    return new Promise((resolve) => {
      const wake = (): void => {
        clearTimeout(timer);
        this.#wake = undefined;
        resolve();
      };
      const timer = setTimeout(wake, Math.min(milliseconds, MAX_BACK_OFF)).unref();
      this.#wake = wake;
    });
  }

  #drop(spans: readonly Span[]): void {
    if (spans.length > 0) this.#options.onFate('dropped', spans.length);
  }
}
