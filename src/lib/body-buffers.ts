/** Two buffers for one body: the next chunk is read into one while the other is being sent. */
export type BufferPair = readonly [Buffer, Buffer];

/** The size of each buffer, by how many bodies hold buffers: few bodies get large ones, many must not exhaust the memory. */
const SIZES = [
  { upTo: 8, bytes: 512 * 1024 },
  { upTo: 64, bytes: 128 * 1024 },
  { upTo: Number.POSITIVE_INFINITY, bytes: 32 * 1024 },
] as const;

/** Bytes of unused buffers kept for later bodies. */
const MAX_IDLE = 32 * 1024 * 1024;

/**
 * Lends buffers to bodies on their way to a client, and reuses them. The more bodies there are, the smaller their buffers:
 * two thousand bodies take 128 MiB, a single one reads a megabyte ahead. Where there are many bodies and their next bytes are
 * on the disk, {@link SharedBuffers} needs less memory.
 */
export class BodyBuffers {
  readonly #idle = new Map<number, BufferPair[]>();
  #idleBytes = 0;
  #lent = 0;

  /** Bodies that hold buffers now. */
  get lent(): number {
    return this.#lent;
  }

  /** The caller gives the pair back with {@link giveBack}, once, when nothing reads or writes it any more. */
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
