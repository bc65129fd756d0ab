/**
 * Where the bytes of a body land: a few large buffers used over and over, filled by the socket and read by one reader.
 *
 * Invariants, and each was a real bug once:
 *  1. The socket may write into the view `room()` gave it at any time until it is given another, paused or not: TLS still
 *     hands over what it had decrypted. So that view never overlaps unread bytes or what the reader holds.
 *  2. `room()` is never empty and never refuses after `full` was obeyed: the fourth buffer is the spare for those bytes.
 *  3. A buffer goes back to the pool only when it was read, and the reader has asked for the next bytes.
 *
 * ```
 *  buffers   [ held by the reader ][ unread ][ unread ][ being filled ▸ room ]      full: only the spare is left
 * ```
 */

/** 256 KiB: below, more calls; above, the caches of the processor are missed (transport measurements: 128 to 256 KiB). */
export const BUFFER_BYTES = 256 * 1024;
const RING = 4;
/** One TLS record. With less room than that, a record would be cut in two. */
const LEAST_ROOM = 16 * 1024;

/** Buffers nobody uses now. Bounded: what is above the bound is left to the garbage collector. */
export class BufferPool {
  /** The size of each. */
  readonly bytes: number;
  readonly #free: Buffer[] = [];
  readonly #bound: number;

  /** @param bytes of each buffer; several times a TLS record */
  constructor(bound: number, bytes = BUFFER_BYTES) {
    this.#bound = bound;
    this.bytes = bytes;
  }

  get size(): number {
    return this.#free.length;
  }

  take(): Buffer {
    // The one given back last is the one most likely still in the processor's cache.
    return this.#free.pop() ?? Buffer.allocUnsafeSlow(this.bytes);
  }

  give(buffer: Buffer): void {
    if (this.#free.length < this.#bound) this.#free.push(buffer);
  }
}

export class ByteRing {
  readonly #pool: BufferPool;
  /** Oldest first; the last one is being filled, until `seal`. */
  readonly #buffers: Buffer[] = [];
  /** How far each of them is filled. */
  readonly #ends: number[] = [];
  /** How far the oldest is read. */
  #readAt = 0;
  #sealed = false;

  constructor(pool: BufferPool) {
    this.#pool = pool;
  }

  /** Where the next bytes may be put. Undefined only where `full` was not obeyed for the length of a whole buffer. */
  room(): Buffer | undefined {
    const end = this.#ends.at(-1) ?? this.#pool.bytes;
    const left = this.#pool.bytes - end;
    const spare = this.#buffers.length === RING;
    if (left >= LEAST_ROOM || (spare && left > 0)) return this.#buffers.at(-1)?.subarray(end);
    if (spare) return undefined;
    const buffer = this.#pool.take();
    this.#buffers.push(buffer);
    this.#ends.push(0);
    return buffer;
  }

  /** Says that `count` bytes were put where `room()` said. */
  advance(count: number): void {
    const last = this.#ends.length - 1;
    const end = this.#ends[last];
    if (end !== undefined) this.#ends[last] = end + count;
  }

  /** Nothing more will be put. */
  seal(): void {
    this.#sealed = true;
  }

  /** Only the spare is left: the socket is to be paused until the reader has moved on. */
  get full(): boolean {
    return this.#buffers.length === RING || (this.#buffers.length === RING - 1 && this.#lastIsFull());
  }

  /** There is something to read. */
  get readable(): boolean {
    return this.#readAt < (this.#ends[0] ?? 0) || (this.#ends[1] ?? 0) > 0;
  }

  /** What is to be read would not grow by waiting. */
  get ripe(): boolean {
    return this.readable && (this.#buffers.length > 1 || this.#sealed || this.#lastIsFull());
  }

  /** Gives up what the reader held. */
  release(): void {
    while (this.#buffers.length > (this.#sealed ? 0 : 1) && this.#readAt === this.#ends[0]) {
      const [buffer] = this.#buffers.splice(0, 1);
      this.#ends.shift();
      this.#readAt = 0;
      if (buffer !== undefined) this.#pool.give(buffer);
    }
  }

  /** The oldest unread bytes, which stay as they are until the next `take` or `release`. */
  take(): Buffer | undefined {
    this.release();
    const [end] = this.#ends;
    if (end === undefined || this.#readAt === end) return undefined;
    const region = this.#buffers[0]?.subarray(this.#readAt, end);
    this.#readAt = end;
    return region;
  }

  /**
   * Forgets everything. To be called only when the socket can write no more. The oldest buffer, which the reader may hold
   * (a write to disk may still be under way from it), is not used again but left to the garbage collector.
   */
  clear(): void {
    this.#sealed = true;
    for (const buffer of this.#buffers.splice(0).slice(1)) this.#pool.give(buffer);
    this.#ends.length = 0;
    this.#readAt = 0;
  }

  #lastIsFull(): boolean {
    return this.#pool.bytes - (this.#ends.at(-1) ?? 0) < LEAST_ROOM;
  }
}
