/** Bytes one body sends in one turn: a quarter of the processor time per byte that chunks of 32 KiB cost. */
const PIECE = 256 * 1024;

/** Bytes per turn for a slow client, or for every client while many are slow. */
const SMALL_PIECE = 32 * 1024;

/** Concurrent turns: enough to keep the reading threads busy, few enough to stay in the processor's cache. */
const AT_ONCE = 8;

/** Bytes that stalled clients may hold in large buffers. Beyond it, every client gets small ones. */
const MAX_STALLED = 32 * 1024 * 1024;

/** Unused small buffers kept. */
const MAX_IDLE_SMALL = 256;

/**
 * Lets very many bodies share a few large buffers, one turn each, in order of arrival. A body holds memory only while a chunk
 * is read and handed to the socket: two thousand clients that keep reading need no more than eight do.
 *
 * A client that does not take its chunk at once keeps the buffer, and the turn passes on. Until it reads, it costs 256 KiB,
 * or 32 KiB once many clients are stalled. So no client waits for a stalled one.
 */
export class SharedBuffers {
  readonly #idle: Buffer[] = [];
  readonly #idleSmall: Buffer[] = [];
  readonly #waiting = new Queue<() => void>();
  readonly #stalled = new Set<Buffer>();
  #stalledBytes = 0;
  #running = 0;

  /** Bytes lent now. */
  get lentBytes(): number {
    return this.#stalledBytes + this.#running * PIECE;
  }

  /**
   * Resolves with a buffer at the caller's turn. The caller gives it back, once.
   *
   * @param isSlow true where the client took its last chunk late: it gets a small buffer
   */
  async take(isSlow = false): Promise<Buffer> {
    if (this.#running < AT_ONCE) this.#running += 1;
    // `#end` hands the turn over.
    else await new Promise<void>((resolve) => this.#waiting.add(resolve));
    if (isSlow || this.#stalledBytes >= MAX_STALLED)
      return this.#idleSmall.pop() ?? Buffer.allocUnsafeSlow(SMALL_PIECE);
    return this.#idle.pop() ?? Buffer.allocUnsafeSlow(PIECE);
  }

  /** The client does not take its chunk for now: the turn passes on. The buffer is still to be given back. */
  markStalled(piece: Buffer): void {
    if (this.#stalled.has(piece)) return;
    this.#stalled.add(piece);
    this.#stalledBytes += piece.length;
    this.#end();
  }

  /** To be called when nothing reads or writes the buffer any more. */
  giveBack(piece: Buffer): void {
    if (piece.length === PIECE) {
      if (this.#idle.length < AT_ONCE) this.#idle.push(piece);
    } else if (this.#idleSmall.length < MAX_IDLE_SMALL) {
      this.#idleSmall.push(piece);
    }
    if (this.#stalled.delete(piece)) this.#stalledBytes -= piece.length;
    else this.#end();
  }

  #end(): void {
    const next = this.#waiting.take();
    if (next === undefined) this.#running -= 1;
    else next();
  }
}

/** First in, first out in constant time: `shift` of a long array moves every element. */
class Queue<T> {
  #head: T[] = [];
  #tail: T[] = [];

  add(item: T): void {
    this.#tail.push(item);
  }

  take(): T | undefined {
    if (this.#head.length === 0) {
      this.#head = this.#tail.toReversed();
      this.#tail = [];
    }
    return this.#head.pop();
  }
}

/**
 * The same bytes in memory of their own, for what is kept. A buffer may be a view of a larger one, such as the 8 KiB from which Node cuts
 * small buffers or that of a whole response, and keeps all of it: a cache would hold several times what its entries weigh.
 */
export function ownBytes(bytes: Buffer): Buffer {
  if (bytes.buffer.byteLength === bytes.length) return bytes;
  const own = Buffer.allocUnsafeSlow(bytes.length);
  bytes.copy(own);
  return own;
}
