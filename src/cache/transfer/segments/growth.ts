/** Milliseconds over which a rate is measured. */
export const STEP_MS = 250;

/** How much the rate must have grown for more connections to stay. */
const LEAST_GAIN = 1.125;

/** Bytes a second that one connection has, above which no more are tried: the processor is then what bounds the transfer. */
const FAST_ENOUGH = 200 * 1024 * 1024;

/** Measurements without a gain that end a try: a connection begins slowly. As many are made before the first try. */
const PATIENCE = 2;

/** Milliseconds after a try without a gain until the next one; each time twice as long: a line that was busy is not busy for ever. */
export const TRY_AGAIN_MS = 10_000;

/** What a transfer does now. */
export interface Progress {
  /** Milliseconds, of a clock that only goes forward. */
  readonly now: number;
  /** Bytes that have come, of all connections. */
  readonly received: number;
  /** Connections that were opened and have no byte yet. */
  readonly opening: number;
}

/**
 * Decides how many connections a transfer uses: one, then twice as many again and again, while each step makes it faster by an
 * eighth. Connections that bring nothing are given up, and tried again later, less and less often.
 *
 * It reads no clock and starts nothing.
 */
export class Growth {
  #most: number;
  #wanted = 1;
  /** The rate with as many as there were before the try; undefined outside a try. */
  #tried: { readonly from: number; readonly rate: number; left: number } | undefined;
  #since: { readonly now: number; readonly received: number } | undefined;
  /** Measurements that are still made before the first try. */
  #toMeasure = PATIENCE;
  /** The highest rate with one connection, with as many as there are, and of all. */
  #first = 0;
  #here = 0;
  #best = 0;
  /** Until when no more are tried, and how long the next rest is. */
  #restUntil = Number.NEGATIVE_INFINITY;
  #rest = TRY_AGAIN_MS;

  /** @param most connections */
  constructor(most: number) {
    this.#most = Math.max(1, most);
  }

  /** Connections that are to be in use. */
  get wanted(): number {
    return this.#wanted;
  }

  /** The highest rate as a multiple of that with one connection; undefined before more were tried. */
  get gain(): number | undefined {
    return this.#first === 0 || this.#toMeasure > 0 ? undefined : this.#best / this.#first;
  }

  /** Uses no more than so many from now on. */
  limit(most: number): void {
    this.#most = Math.max(1, Math.min(this.#most, most));
    this.#wanted = Math.min(this.#wanted, this.#most);
    this.#tried = undefined;
    this.#since = undefined;
  }

  /** Judges by what is measured from now on: what was tried last has changed. */
  again(): void {
    if (this.#tried !== undefined) this.#tried.left = PATIENCE;
    this.#since = undefined;
  }

  /** Looks at the progress, every {@link STEP_MS} or so, and decides. */
  step(progress: Progress): void {
    const { now, received, opening } = progress;
    const since = this.#since;
    // Measured from where all of them have begun.
    if (since === undefined || opening > 0) {
      this.#since = { now, received };
      return;
    }
    const milliseconds = now - since.now;
    if (milliseconds < STEP_MS * 0.8) return;
    const rate = ((received - since.received) * 1000) / milliseconds;
    this.#since = { now, received };
    this.#here = Math.max(this.#here, rate);
    this.#best = Math.max(this.#best, rate);
    if (this.#toMeasure > 0) {
      this.#toMeasure -= 1;
      this.#first = this.#here;
    }
    // The highest of some: a line that paused is no line that more connections make faster.
    if (this.#toMeasure === 0) this.#decide(rate, now);
  }

  #decide(rate: number, now: number): void {
    const tried = this.#tried;
    if (tried !== undefined && rate < tried.rate * LEAST_GAIN) {
      tried.left -= 1;
      if (tried.left > 0) return;
      this.#wanted = tried.from;
      this.#tried = undefined;
      this.#here = 0;
      this.#restUntil = now + this.#rest;
      this.#rest *= 2;
      return;
    }
    this.#tried = undefined;
    if (now < this.#restUntil) return;
    if (this.#wanted >= this.#most || rate >= FAST_ENOUGH) return;
    this.#tried = { from: this.#wanted, rate: this.#here, left: PATIENCE };
    this.#here = 0;
    this.#wanted = Math.min(this.#most, this.#wanted * 2);
    this.#since = undefined;
  }
}
