/** What one body sends in one turn; bytes. A quarter of the work per byte that pieces of 32 KiB cost. */
const PIECE = 256 * 1024;

/** What it sends whose client is slow, or when many are. */
const SMALL_PIECE = 32 * 1024;

/** Turns at a time: enough to keep the threads that read busy, and few enough to stay in the processor's cache. */
const AT_ONCE = 8;

/** Bytes that may rest in large pieces which their clients do not take. Beyond it, everyone gets small ones. */
const MAX_STUCK = 32 * 1024 * 1024;

/** Unused small pieces that are kept. */
const MAX_IDLE_SMALL = 256;

/**
 * Lets very many bodies share a few large buffers, one turn each, first come first served. A body holds memory only while
 * a piece is read and handed to the socket: two thousand clients that take what they get need no more than eight do.
 *
 * Who does not take his piece at once keeps it and lets the next one have his turn; until he does he costs 256 KiB, or 32 KiB
 * once there are many like him. So nobody waits for a client that sleeps.
 */
export class SharedBuffers {
  readonly #idle: Buffer[] = [];
  readonly #idleSmall: Buffer[] = [];
  readonly #waiting = new Queue<() => void>();
  readonly #stuck = new Set<Buffer>();
  #stuckBytes = 0;
  #running = 0;

  /** Bytes that are lent now. */
  get lentBytes(): number {
    return this.#stuckBytes + this.#running * PIECE;
  }

  /**
   * Resolves with a buffer when it is one's turn. Each is to be given back, once.
   *
   * @param isSlow whoever took his last piece late gets a small one
   */
  async take(isSlow = false): Promise<Buffer> {
    if (this.#running < AT_ONCE) this.#running += 1;
    // Whoever ends a turn passes it on.
    else await new Promise<void>((resolve) => this.#waiting.add(resolve));
    if (isSlow || this.#stuckBytes >= MAX_STUCK) return this.#idleSmall.pop() ?? Buffer.allocUnsafeSlow(SMALL_PIECE);
    return this.#idle.pop() ?? Buffer.allocUnsafeSlow(PIECE);
  }

  /** The client does not take it for now: somebody else has his turn. Still to be given back. */
  markStalled(piece: Buffer): void {
    if (this.#stuck.has(piece)) return;
    this.#stuck.add(piece);
    this.#stuckBytes += piece.length;
    this.#end();
  }

  /** Only when nothing reads or writes it any more. */
  giveBack(piece: Buffer): void {
    if (piece.length === PIECE) {
      if (this.#idle.length < AT_ONCE) this.#idle.push(piece);
    } else if (this.#idleSmall.length < MAX_IDLE_SMALL) {
      this.#idleSmall.push(piece);
    }
    if (this.#stuck.delete(piece)) this.#stuckBytes -= piece.length;
    else this.#end();
  }

  #end(): void {
    const next = this.#waiting.take();
    if (next === undefined) this.#running -= 1;
    else next();
  }
}

/** First in, first out, however many there are: `shift` of a long array moves all of it. */
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
