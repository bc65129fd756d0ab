/** Bytes kept: a few reads of a socket. */
const CAPACITY = 256 * 1024;

/** Bytes kept of a transfer whose chunks are larger: two of the largest, so that a follower may be one behind. */
const LARGE_CAPACITY = 2 * 1024 * 1024;

/** Transfers at once that keep so much. */
const MAX_LARGE = 8;

/** Unused buffers kept for later transfers, of each size. */
const MAX_IDLE_BYTES = 4 * 1024 * 1024;

const idle: Buffer[] = [];
const idleLarge: Buffer[] = [];
let largeInUse = 0;

/**
 * The last bytes of a transfer. Followers that keep up, which nearly all do, read them from memory: a hundred clients of one
 * growing file would otherwise read each new piece from the disk a hundred times.
 */
export class TailBuffer {
  #ring: Buffer | undefined;
  readonly #isLarge: boolean;
  /** Position of the first byte kept, and of the first behind the last. */
  #start = 0;
  #end = 0;

  /**
   * @param isLarge whether it is to keep more from the start. @default where a chunk is larger than the small capacity
   * @param position of the first byte
   */
  constructor(isLarge = false, position = 0) {
    this.#isLarge = isLarge;
    this.#start = position;
    this.#end = position;
  }

  /** Position of the first byte that is kept. */
  get start(): number {
    return this.#start;
  }

  /** Whether a chunk can be appended without the loss of bytes from a position on. */
  keeps(position: number, chunk: number): boolean {
    return this.#end + chunk - Math.min(position, this.#end) <= this.#capacityFor(chunk);
  }

  /** Appends a copy of a chunk. */
  append(chunk: Buffer): void {
    const capacity = this.#capacityFor(chunk.length);
    const ring = this.#ring?.length === capacity ? this.#ring : this.#enlarge(capacity);
    const kept = Math.min(chunk.length, capacity);
    this.#end += chunk.length;
    this.#start = Math.max(this.#start, this.#end - capacity);
    const from = this.#end - kept;
    const at = from % capacity;
    const first = Math.min(kept, capacity - at);
    const skipped = chunk.length - kept;
    chunk.copy(ring, at, skipped, skipped + first);
    chunk.copy(ring, 0, skipped + first);
  }

  /** Copies the kept bytes from a position on into `target`; returns their number, 0 where the first is not kept. */
  read(target: Buffer, position: number): number {
    const ring = this.#ring;
    if (ring === undefined || position < this.#start || position >= this.#end) return 0;
    const count = Math.min(target.length, this.#end - position);
    const at = position % ring.length;
    const first = Math.min(count, ring.length - at);
    ring.copy(target, 0, at, at + first);
    ring.copy(target, first, 0, count - first);
    return count;
  }

  /** Frees the memory. */
  release(): void {
    const ring = this.#ring;
    this.#ring = undefined;
    if (ring !== undefined) giveBack(ring);
  }

  /** What it has, or will have where a chunk is larger than that. */
  #capacityFor(chunk: number): number {
    if (this.#ring?.length === LARGE_CAPACITY) return LARGE_CAPACITY;
    return (this.#isLarge || chunk > CAPACITY) && largeInUse < MAX_LARGE ? LARGE_CAPACITY : CAPACITY;
  }

  #enlarge(capacity: number): Buffer {
    const ring = idleOf(capacity).pop() ?? Buffer.allocUnsafeSlow(capacity);
    if (capacity === LARGE_CAPACITY) largeInUse += 1;
    const smaller = this.#ring;
    this.#ring = ring;
    if (smaller === undefined) return ring;
    // What is kept lies elsewhere in a larger ring.
    for (let position = this.#start; position < this.#end; ) {
      const from = position % smaller.length;
      const count = Math.min(this.#end - position, smaller.length - from, capacity - (position % capacity));
      smaller.copy(ring, position % capacity, from, from + count);
      position += count;
    }
    giveBack(smaller);
    return ring;
  }
}

function giveBack(ring: Buffer): void {
  if (ring.length === LARGE_CAPACITY) largeInUse -= 1;
  const others = idleOf(ring.length);
  if (others.length * ring.length < MAX_IDLE_BYTES) others.push(ring);
}

function idleOf(capacity: number): Buffer[] {
  return capacity === LARGE_CAPACITY ? idleLarge : idle;
}
