import type { UrlRecord } from '../../store/index.ts';
import type { UrlResponse } from './request.ts';
import type { UrlTransfer } from './transfers.ts';

/**
 * What came of asking the upstream for a URL. `renewed`: what is here holds. `transfer`: there is something else, and it is
 * coming in. `answer`: what is said is for one client alone; `failed` of it means that the upstream is in trouble. `error`:
 * nothing was said.
 */
export type UrlResolution =
  | { readonly kind: 'renewed'; readonly record: UrlRecord }
  | { readonly kind: 'transfer'; readonly transfer: UrlTransfer; readonly release: () => void }
  | { readonly kind: 'answer'; readonly response: UrlResponse; readonly failed: boolean }
  | { readonly kind: 'error'; readonly error: Error };

/**
 * One question to the upstream, and everyone who waits for what comes of it.
 *
 * It counts them: what nobody takes is given back when the last has left, and what several can share is held until the last
 * of them has got hold of it.
 */
export class UrlFlight {
  /** Never rejects. */
  readonly resolution: Promise<UrlResolution>;
  /** Resolves when it has been under way for as long as anybody is made to wait who can have something older. */
  readonly late: Promise<void>;
  readonly #late = Promise.withResolvers<void>();
  readonly #timer: NodeJS.Timeout;
  #waiting = 0;
  #isOver = false;
  #release: (() => void) | undefined;

  /**
   * @param ask is told whether anybody still waits, in the turn in which that counts
   * @param lateAfter milliseconds
   */
  constructor(
    ask: (isWaitedFor: () => boolean) => Promise<UrlResolution>,
    { lateAfter, onLate }: { readonly lateAfter: number; readonly onLate: () => void },
  ) {
    this.late = this.#late.promise;
    this.#timer = setTimeout(() => {
      onLate();
      this.#late.resolve();
    }, lateAfter);
    this.resolution = this.#run(ask);
  }

  /** Waits with the others, until the returned function is called, for the first time. */
  join(): () => void {
    this.#waiting += 1;
    let isWaiting = true;
    return () => {
      if (!isWaiting) return;
      isWaiting = false;
      this.#waiting -= 1;
      if (this.#waiting === 0 && this.#isOver) this.#letGo();
    };
  }

  /** The answer that is for one alone, for the first who takes it. */
  take({ response }: { readonly response: UrlResponse }): UrlResponse | undefined {
    if (this.#release === undefined) return undefined;
    this.#release = undefined;
    return response;
  }

  /** Of what nobody took in time, nobody gets anything later. */
  #letGo(): void {
    const release = this.#release;
    this.#release = undefined;
    release?.();
  }

  async #run(ask: (isWaitedFor: () => boolean) => Promise<UrlResolution>): Promise<UrlResolution> {
    let resolution: UrlResolution;
    try {
      resolution = await ask(() => this.#waiting > 0);
    } catch (error) {
      resolution = { kind: 'error', error: error instanceof Error ? error : new Error(String(error)) };
    }
    clearTimeout(this.#timer);
    this.#isOver = true;
    this.#release = holding(resolution);
    if (this.#waiting === 0) this.#letGo();
    return resolution;
  }
}

/** Holds what a resolution brought; the function lets go of it. */
function holding(resolution: UrlResolution): (() => void) | undefined {
  if (resolution.kind === 'answer') return () => resolution.response.body.cancel();
  return resolution.kind === 'transfer' ? resolution.release : undefined;
}
