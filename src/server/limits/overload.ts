/** Why a request was turned away. */
export type OverloadReason =
  /** The server has as many under way as it may, and nobody may wait, or nobody more. */
  | 'full'
  /** It waited for a place, and none came free in time. */
  | 'timeout'
  /** Its client has as many under way, and waiting, as it may. */
  | 'client'
  /** Its client asks more often than it may. */
  | 'rate';

/** There is no place for a request now. The message may be shown to the client. */
export class OverloadError extends Error {
  override readonly name = 'OverloadError';
  readonly reason: OverloadReason;
  readonly status: 429 | 503;
  /** Seconds after which there may be one. */
  readonly retryAfter: number;

  constructor(
    message: string,
    { reason, status, retryAfter }: Pick<OverloadError, 'reason' | 'status' | 'retryAfter'>,
  ) {
    super(message);
    this.reason = reason;
    this.status = status;
    this.retryAfter = retryAfter;
  }
}

/** Milliseconds without anybody turned away after which an episode may be over. */
const CALM_MS = 5000;

const LOOK_MS = 1000;

export interface EpisodeOptions {
  /** Whether there is so little room that the next few would be turned away again. */
  readonly isCrowded: () => boolean;
  readonly onBegin: () => void;
  readonly onEnd: (episode: { readonly refused: number; readonly durationMs: number }) => void;
}

/**
 * The times in which a server has more to do than it may. One begins with the first request that is turned away, and is over
 * when nobody was for 5 s and there is room again: what looks at it (load balancers, whoever reads the log) sees it begin
 * and end once, not with each request.
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

  /** True from the first request that is turned away until it is over. */
  get active(): boolean {
    return this.#timer !== undefined;
  }

  /** A request was turned away. */
  refused(): void {
    this.#refusedAt = performance.now();
    this.#refused += 1;
    if (this.#timer !== undefined) return;
    this.#beganAt = this.#refusedAt;
    this.#timer = setInterval(() => this.#look(), LOOK_MS);
    this.#timer.unref();
    this.#options.onBegin();
  }

  /** Looks no more. */
  close(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  #look(): void {
    const now = performance.now();
    if (now - this.#refusedAt < CALM_MS || this.#options.isCrowded()) return;
    this.close();
    const refused = this.#refused;
    this.#refused = 0;
    this.#options.onEnd({ refused, durationMs: now - this.#beganAt });
  }
}
