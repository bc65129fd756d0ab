/** Bytes kept: a few reads of a socket. */
const CAPACITY = 256 * 1024;

/** Unused buffers kept for later transfers: 4 MiB. */
const MAX_IDLE = 16;

const idle: Buffer[] = [];

/**
 * The last bytes of a transfer. Followers that keep up, which nearly all do, read them from memory: a hundred clients of one
 * growing file would otherwise read each new piece from the disk a hundred times.
 */
export class TailBuffer {
  #ring: Buffer | undefined;
  /** Position of the first byte kept, and of the first behind the last. */
  #start = 0;
  #end = 0;

  /** Appends a copy of a chunk. */
  append(chunk: Buffer): void {
    const kept = Math.min(chunk.length, CAPACITY);
    this.#end += chunk.length;
    this.#start = Math.max(this.#start, this.#end - CAPACITY);
    this.#ring ??= idle.pop() ?? Buffer.allocUnsafeSlow(CAPACITY);
    const from = this.#end - kept;
    const at = from % CAPACITY;
    const first = Math.min(kept, CAPACITY - at);
    const skipped = chunk.length - kept;
    chunk.copy(this.#ring, at, skipped, skipped + first);
    chunk.copy(this.#ring, 0, skipped + first);
  }

  /** Copies the kept bytes from a position on into `target`; returns their number, 0 where the first is not kept. */
  read(target: Buffer, position: number): number {
    if (this.#ring === undefined || position < this.#start || position >= this.#end) return 0;
    const count = Math.min(target.length, this.#end - position);
    const at = position % CAPACITY;
    const first = Math.min(count, CAPACITY - at);
    this.#ring.copy(target, 0, at, at + first);
    this.#ring.copy(target, first, 0, count - first);
    return count;
  }

  /** Frees the memory. */
  release(): void {
    const ring = this.#ring;
    this.#ring = undefined;
    if (ring !== undefined && idle.length < MAX_IDLE) idle.push(ring);
  }
}
