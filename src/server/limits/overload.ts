import { TextRefusal } from '../exchange/index.ts';

/** Why a request was refused. */
export type OverloadReason =
  /** Every slot of the server is taken, and the queue is off or full. */
  | 'full'
  /** It waited for a slot, and none became free in time. */
  | 'timeout'
  /** Its client holds as many slots as it may. */
  | 'client'
  /** Its client sends requests faster than it may. */
  | 'rate';

/** A request gets no slot now. The message may be shown to the client. */
export class OverloadError extends TextRefusal {
  override readonly name = 'OverloadError';
  readonly reason: OverloadReason;
  /** Seconds after which the client may try again. */
  readonly retryAfter: number;

  constructor(
    message: string,
    { reason, status, retryAfter }: Pick<OverloadError, 'reason' | 'status' | 'retryAfter'>,
  ) {
    super(status, message, { 'retry-after': String(retryAfter) });
    this.reason = reason;
    this.retryAfter = retryAfter;
  }
}

/** Milliseconds without a refused request after which an episode may end. */
const CALM_MS = 5000;

const CHECK_MS = 1000;

interface EpisodeOptions {
  /** Whether so few slots are free that the next few requests would be refused again. */
  readonly isCrowded: () => boolean;
  readonly onBegin: () => void;
  readonly onEnd: (episode: { readonly refused: number; readonly durationMs: number }) => void;
}

/**
 * Episodes of overload. An episode begins with the first refused request. It ends when no request was refused for 5 s and
 * slots are free again: load balancers and operators see it begin and end once, not with each request.
 */
export class OverloadEpisodes {
  readonly #options: EpisodeOptions;
  #timer: NodeJS.Timeout | undefined;
  #beganAt = 0;
  #refusedAt = 0;
  #refused = 0;

  constructor(options: EpisodeOptions) {
    this.#options = options;
  }

  /** True during an episode. */
  get active(): boolean {
    return this.#timer !== undefined;
  }

  /** Records a refused request. */
  refused(): void {
    this.#refusedAt = performance.now();
    this.#refused += 1;
    if (this.#timer !== undefined) return;
    this.#beganAt = this.#refusedAt;
    this.#timer = setInterval(() => this.#check(), CHECK_MS);
    this.#timer.unref();
    this.#options.onBegin();
  }

  /** Ends the watch. */
  close(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  #check(): void {
    const now = performance.now();
    if (now - this.#refusedAt < CALM_MS || this.#options.isCrowded()) return;
    this.close();
    const refused = this.#refused;
    this.#refused = 0;
    this.#options.onEnd({ refused, durationMs: now - this.#beganAt });
  }
}
