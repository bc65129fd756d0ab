/** Bytes that are kept: a few pieces of a socket. */
const CAPACITY = 256 * 1024;

/** Unused memory that is kept for the next transfer: 4 MiB. */
const MAX_IDLE = 16;

const idle: Buffer[] = [];

/**
 * The last bytes of a transfer. Whoever follows it closely, which is nearly everyone, has them from here: a hundred clients
 * of one growing file would ask the disk a hundred times for the piece that has just been written to it.
 */
export class TailBuffer {
  #ring: Buffer | undefined;
  /** Position of the first byte that is here, and of the first that is not any more. */
  #start = 0;
  #end = 0;

  /** Takes what follows on what came before; the chunk is copied. */
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

  /** Puts what is here of the bytes from a position at the start of `target`; 0 where the first of them is not. */
  read(target: Buffer, position: number): number {
    if (this.#ring === undefined || position < this.#start || position >= this.#end) return 0;
    const count = Math.min(target.length, this.#end - position);
    const at = position % CAPACITY;
    const first = Math.min(count, CAPACITY - at);
    this.#ring.copy(target, 0, at, at + first);
    this.#ring.copy(target, first, 0, count - first);
    return count;
  }

  /** Gives the memory back; nothing is here any more. */
  release(): void {
    const ring = this.#ring;
    this.#ring = undefined;
    if (ring !== undefined && idle.length < MAX_IDLE) idle.push(ring);
  }
}
