/**
 * The read buffers of a body: a few large buffers, reused, filled by the socket and read by one reader.
 *
 * Invariants, each broken by a real bug once:
 *  1. The socket may write into the view from `room()` at any time until it gets another, even while paused: TLS still
 *     delivers what it has decrypted. So that view never overlaps unread bytes or the reader's.
 *  2. While `full` is obeyed, `room()` is never empty and never refuses: the fourth buffer is the spare for those bytes.
 *  3. A buffer returns to the pool only when it has been read, and the reader has asked for the next bytes.
 *
 * ```
 *  buffers   [ held by the reader ][ unread ][ unread ][ being filled ▸ room ]      full: only the spare is left
 * ```
 */

/** 256 KiB: smaller buffers cost more calls. */
export const BUFFER_BYTES = 256 * 1024;
/**
 * Bytes of a buffer for a body that comes faster than it is read. Each buffer is hashed and written to the disk as a whole, and handing
 * it to another thread costs as much as hashing 64 KiB of it.
 */
export const LARGE_BUFFER_BYTES = 1024 * 1024;
const RING = 4;
/** One TLS record: less room would split a record. */
const LEAST_ROOM = 16 * 1024;

interface PoolOptions {
  /** Of each buffer; several times a TLS record. @default BUFFER_BYTES */
  readonly bytes?: number;
  /** Buffers of LARGE_BUFFER_BYTES that may be in use at once; half as many are kept unused. @default 0 */
  readonly large?: number;
}

/** Unused buffers, at most `bound` of them: the garbage collector takes the others. */
export class BufferPool {
  readonly #bytes: number;
  readonly #free: Buffer[] = [];
  readonly #bound: number;
  readonly #freeLarge: Buffer[] = [];
  readonly #maxLarge: number;
  #largeInUse = 0;

  constructor(bound: number, { bytes = BUFFER_BYTES, large = 0 }: PoolOptions = {}) {
    this.#bound = bound;
    this.#bytes = bytes;
    this.#maxLarge = large;
  }

  get size(): number {
    return this.#free.length;
  }

  /** @param large whether a large buffer is of use. It is given where few of them are in use */
  take(large = false): Buffer {
    // The buffer returned last is most likely still in the processor's cache.
    if (!large || this.#largeInUse >= this.#maxLarge) return this.#free.pop() ?? Buffer.allocUnsafeSlow(this.#bytes);
    this.#largeInUse += 1;
    return this.#freeLarge.pop() ?? Buffer.allocUnsafeSlow(LARGE_BUFFER_BYTES);
  }

  give(buffer: Buffer): void {
    if (buffer.length === this.#bytes) {
      if (this.#free.length < this.#bound) this.#free.push(buffer);
      return;
    }
    this.#largeInUse -= 1;
    if (this.#freeLarge.length < this.#maxLarge / 2) this.#freeLarge.push(buffer);
  }

  /** Leaves a buffer to the garbage collector: another part may still use it. */
  forget(buffer: Buffer): void {
    if (buffer.length !== this.#bytes) this.#largeInUse -= 1;
  }
}

export class ByteRing {
  readonly #pool: BufferPool;
  /** Oldest first; the socket fills the last one, until `seal`. */
  readonly #buffers: Buffer[] = [];
  /** The filled bytes of each buffer. */
  readonly #ends: number[] = [];
  /** The bytes of the oldest buffer already read. */
  #readAt = 0;
  #sealed = false;

  constructor(pool: BufferPool) {
    this.#pool = pool;
  }

  /** Room for the next bytes. Undefined only where `full` was ignored for a whole buffer. */
  room(): Buffer | undefined {
    const left = this.#left;
    const spare = this.#buffers.length === RING;
    if (left >= LEAST_ROOM || (spare && left > 0)) return this.#buffers.at(-1)?.subarray(this.#ends.at(-1));
    if (spare) return undefined;
    // A whole buffer came before its first byte was read: the body is faster than its reader.
    const isFast = this.#buffers.length > 1 || (this.#buffers.length === 1 && this.#readAt === 0);
    const buffer = this.#pool.take(isFast);
    this.#buffers.push(buffer);
    this.#ends.push(0);
    return buffer;
  }

  /** Records that `count` bytes were written to the view from `room()`. */
  advance(count: number): void {
    const last = this.#ends.length - 1;
    const end = this.#ends[last];
    if (end !== undefined) this.#ends[last] = end + count;
  }

  /** No more bytes will be written. */
  seal(): void {
    this.#sealed = true;
  }

  /** True where only the spare is left: the socket must pause until the reader has moved on. */
  get full(): boolean {
    return this.#buffers.length === RING || (this.#buffers.length === RING - 1 && this.#lastIsFull());
  }

  /** True where there are unread bytes. */
  get readable(): boolean {
    return this.#readAt < (this.#ends[0] ?? 0) || (this.#ends[1] ?? 0) > 0;
  }

  /** True where the next `take` would not return more by waiting. */
  get ripe(): boolean {
    return this.readable && (this.#buffers.length > 1 || this.#sealed || this.#lastIsFull());
  }

  /** Returns the buffers the reader has finished with. */
  release(): void {
    while (this.#buffers.length > (this.#sealed ? 0 : 1) && this.#readAt === this.#ends[0]) {
      const [buffer] = this.#buffers.splice(0, 1);
      this.#ends.shift();
      this.#readAt = 0;
      if (buffer !== undefined) this.#pool.give(buffer);
    }
  }

  /** The oldest unread bytes, valid until the next `take` or `release`. */
  take(): Buffer | undefined {
    this.release();
    const [end] = this.#ends;
    if (end === undefined || this.#readAt === end) return undefined;
    const region = this.#buffers[0]?.subarray(this.#readAt, end);
    this.#readAt = end;
    return region;
  }

  /**
   * Drops all buffers. To be called only when the socket can write no more. The oldest buffer is not reused but left to the
   * garbage collector: the reader may still hold it, for example in a pending write to disk.
   */
  clear(): void {
    this.#sealed = true;
    const [oldest, ...others] = this.#buffers.splice(0);
    if (oldest !== undefined) this.#pool.forget(oldest);
    for (const buffer of others) this.#pool.give(buffer);
    this.#ends.length = 0;
    this.#readAt = 0;
  }

  /** Bytes that the newest buffer has room for. */
  get #left(): number {
    return (this.#buffers.at(-1)?.length ?? 0) - (this.#ends.at(-1) ?? 0);
  }

  #lastIsFull(): boolean {
    return this.#buffers.length > 0 && this.#left < LEAST_ROOM;
  }
}
