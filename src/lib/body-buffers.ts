/** Two buffers for one body: the next piece is read into one while the other is on its way out. */
export type BufferPair = readonly [Buffer, Buffer];

/** A few large bodies deserve large buffers, many at once must not eat the memory. */
const SIZES = [
  { upTo: 8, bytes: 512 * 1024 },
  { upTo: 64, bytes: 128 * 1024 },
  { upTo: Number.POSITIVE_INFINITY, bytes: 32 * 1024 },
] as const;

/** Bytes of unused buffers that are kept for the next body. */
const MAX_IDLE = 32 * 1024 * 1024;

/**
 * Lends buffers to bodies on their way to a client. What one body used the next one uses again, and the more bodies there are
 * the smaller the buffers they get: two thousand at once take 128 MiB, a single one reads a megabyte ahead. Many whose next
 * bytes are at hand do better with {@link SharedBuffers}.
 */
export class BodyBuffers {
  readonly #idle = new Map<number, BufferPair[]>();
  #idleBytes = 0;
  #lent = 0;

  /** Bodies that hold buffers now. */
  get lent(): number {
    return this.#lent;
  }

  /** Give the pair back with {@link giveBack}, once, and only when nothing reads or writes it any more. */
  lend(): BufferPair {
    this.#lent += 1;
    const bytes = SIZES.find(({ upTo }) => this.#lent <= upTo)?.bytes ?? SIZES[2].bytes;
    const idle = this.#idle.get(bytes)?.pop();
    if (idle !== undefined) {
      this.#idleBytes -= 2 * bytes;
      return idle;
    }
    return [Buffer.allocUnsafeSlow(bytes), Buffer.allocUnsafeSlow(bytes)];
  }

  giveBack(pair: BufferPair): void {
    this.#lent -= 1;
    const bytes = pair[0].length;
    if (this.#idleBytes + 2 * bytes > MAX_IDLE) return;
    const idle = this.#idle.get(bytes) ?? [];
    idle.push(pair);
    this.#idle.set(bytes, idle);
    this.#idleBytes += 2 * bytes;
  }
}
