/** The origin's answer, or why there is none. */
export type Asked<A> =
  | { readonly answer: A; readonly failure?: undefined }
  | {
      /** What the origin answered, to be passed on where no stored record may be served. */
      readonly answer?: A;
      readonly failure: OriginFailed;
    };

export interface OriginFailed {
  readonly error: Error;
  /**
   * The origin refuses access or has deleted the content. Then no stored record is served before it has answered again.
   * Otherwise the failure may be over soon, and a stale record is better than an error.
   */
  readonly isRefusal: boolean;
}

export interface FlightOptions<A> {
  /** Milliseconds until {@link Flight.late} resolves. */
  readonly lateAfter: number;
  readonly onLate: () => void;
  /** Frees an answer that no request claimed, after the last one has left. */
  readonly release?: ((answer: A) => void) | undefined;
  /**
   * Whether an answer is for the request alone that asked: it is freed as soon as that one has left, whether or not others wait.
   *
   * @default false for each
   */
  readonly isForAsker?: ((answer: A) => boolean) | undefined;
}

/**
 * One question to the origin and the requests that wait for it.
 *
 * It counts its waiters: an unclaimed answer is released when the last one leaves that may have it. The question belongs to no
 * request, so it goes on when all of them have left.
 */
export class Flight<A> {
  /** Never rejects. */
  readonly resolution: Promise<Asked<A>>;
  /** Resolves when the question has taken longer than a request with a stored record has to wait. */
  readonly late: Promise<void>;
  readonly #late = Promise.withResolvers<void>();
  readonly #options: Pick<FlightOptions<A>, 'release' | 'isForAsker'>;
  #waiting = 0;
  #isAskerWaiting = false;
  #isOver = false;
  #unclaimed: { readonly answer: A } | undefined;

  /** @param ask gets a function that tells whether a request still waits */
  constructor(ask: (isAwaited: () => boolean) => Promise<Asked<A>>, options: FlightOptions<A>) {
    const { lateAfter, onLate } = options;
    this.late = this.#late.promise;
    this.#options = options;
    const timer = setTimeout(() => {
      onLate();
      this.#late.resolve();
    }, lateAfter);
    this.resolution = this.#run(ask, timer);
  }

  /** Adds a waiter, until the returned function is called for the first time. At most one waiter is the asker. */
  join({ isAsker }: { readonly isAsker: boolean }): () => void {
    this.#waiting += 1;
    if (isAsker) this.#isAskerWaiting = true;
    let isWaiting = true;
    return () => {
      if (!isWaiting) return;
      isWaiting = false;
      this.#waiting -= 1;
      if (isAsker) this.#isAskerWaiting = false;
      this.#releaseUnclaimed();
    };
  }

  /** True for the first caller alone: an answer that cannot be shared, such as a body, is then its own to use and release. */
  claim(): boolean {
    const isFirst = this.#unclaimed !== undefined;
    this.#unclaimed = undefined;
    return isFirst;
  }

  #releaseUnclaimed(): void {
    if (!this.#isOver || this.#unclaimed === undefined) return;
    const { answer } = this.#unclaimed;
    const { release, isForAsker } = this.#options;
    if (isForAsker?.(answer) === true ? this.#isAskerWaiting : this.#waiting > 0) return;
    this.#unclaimed = undefined;
    release?.(answer);
  }

  async #run(ask: (isAwaited: () => boolean) => Promise<Asked<A>>, timer: NodeJS.Timeout): Promise<Asked<A>> {
    let asked: Asked<A>;
    try {
      asked = await ask(() => this.#waiting > 0);
    } catch (thrown) {
      const error = thrown instanceof Error ? thrown : new Error(String(thrown));
      asked = { failure: { error, isRefusal: false } };
    }
    clearTimeout(timer);
    this.#isOver = true;
    if (asked.answer !== undefined) this.#unclaimed = { answer: asked.answer };
    this.#releaseUnclaimed();
    return asked;
  }
}
