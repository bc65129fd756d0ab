/** What is measured apart: a blob often comes from a storage behind the upstream. */
export type Measured = 'manifest' | 'blob';

/** What is known of an upstream's speed. Every property is absent where it was not measured lately. */
export interface PaceView {
  /** The mean time to the head of an answer, in milliseconds. */
  readonly latencyMs?: number;
  /** When that was last measured, in milliseconds since the epoch. */
  readonly measuredAt?: number;
  /** The mean rate of blobs over one connection. */
  readonly bytesPerSecond?: number;
}

/** The share of a new measurement in a mean that was measured just before. */
const SHARE = 0.25;
/** Milliseconds after which a new measurement counts about two thirds: an old mean tells little of now. */
const FADES_IN_MS = 60_000;
/** Milliseconds after which a mean is forgotten. */
export const FORGOTTEN_AFTER_MS = 30 * 60_000;

/** A mean in which each measurement counts less than the next, and less the older it is. */
class Mean {
  #value = 0;
  #at: number | undefined;

  add(sample: number, now: number): void {
    const age = this.#at === undefined ? Number.POSITIVE_INFINITY : Math.max(0, now - this.#at);
    const share = Math.max(SHARE, 1 - Math.exp(-age / FADES_IN_MS));
    this.#value += (sample - this.#value) * share;
    this.#at = now;
  }

  /** Undefined before the first measurement and where the last one is long ago. A clock that was set back forgets nothing. */
  read(now: number): { readonly value: number; readonly at: number } | undefined {
    if (this.#at === undefined || now - this.#at >= FORGOTTEN_AFTER_MS) return undefined;
    return { value: this.#value, at: this.#at };
  }
}

/** How fast one upstream answers, measured by the clients' requests alone, and kept in memory. */
export class Pace {
  /** Whether anything reads the rate of its blobs: measuring it takes a look at each chunk. */
  isRated = false;
  readonly #now: () => number;
  readonly #latency: Readonly<Record<Measured, Mean>> = { manifest: new Mean(), blob: new Mean() };
  readonly #rate = new Mean();

  /** @param now milliseconds since the epoch */
  constructor(now: () => number) {
    this.#now = now;
  }

  /** An answer with content began. @param ms from the request to its head */
  answered(content: Measured, ms: number): void {
    this.#latency[content].add(ms, this.#now());
  }

  /** Bytes of a blob arrived. */
  sent(bytesPerSecond: number): void {
    this.#rate.add(bytesPerSecond, this.#now());
  }

  /** Where no blob was measured, the time of manifests stands in; such a blob has no `measuredAt`. */
  view(content: Measured): PaceView {
    const now = this.#now();
    const latency = this.#latency[content].read(now);
    const stand = content === 'blob' && latency === undefined ? this.#latency.manifest.read(now) : undefined;
    const rate = this.#rate.read(now);
    return {
      ...(latency !== undefined && { latencyMs: latency.value, measuredAt: latency.at }),
      ...(stand !== undefined && { latencyMs: stand.value }),
      ...(rate !== undefined && { bytesPerSecond: rate.value }),
    };
  }
}
