/**
 * Two system calls that Node does not offer, made through node:ffi. They never wait, so they are safe on the event loop's
 * thread: bytes that are not in the page cache, or do not fit the socket, are left out.
 */
export interface Kernel {
  /**
   * Copies bytes of a file to a socket inside the kernel (sendfile(2)).
   *
   * @param count more than 0; at most {@link WINDOW} of them are sent
   * @returns bytes the socket took; 0 where its buffer is full, the bytes are not in the page cache, or the call failed
   */
  send(socket: number, file: number, position: number, count: number): number;
  /**
   * Reads bytes in the page cache (preadv2(2) with RWF_NOWAIT).
   *
   * @returns bytes read; 0 at the end of the file, where they are not in the page cache, or where the call failed
   */
  read(file: number, target: Buffer, position: number): number;
}

/** Bytes one call may send: a fast client must not hold up the others. */
export const WINDOW = 2 * 1024 * 1024;

/** The window where the end of the large one is not in the page cache. */
const SMALL_WINDOW = 64 * 1024;

/** From <linux/fs.h>, the same on every Linux. */
const RWF_NOWAIT = 8;

let kernel: Kernel | undefined;
let isLoading = false;

/**
 * The system calls; undefined until they are loaded. The first call starts loading them, so that a start does not wait.
 *
 * They stay undefined on anything but 64-bit Linux, and on a Node without node:ffi (before 26, or started with
 * `--no-experimental-ffi`, which turns them off). Everything works without them, for more processor time.
 */
export function kernelCalls(): Kernel | undefined {
  if (!isLoading) {
    isLoading = true;
    void load();
  }
  return kernel;
}

async function load(): Promise<void> {
  kernel = await loadKernel();
}

/** Loads the system calls; undefined where they are not available. Never rejects. */
export async function loadKernel(): Promise<Kernel | undefined> {
  if (process.platform !== 'linux' || !['x64', 'arm64'].includes(process.arch)) return undefined;
  try {
    const { dlopen, getRawPointer } = await import('node:ffi');
    // null: from the process itself, which has loaded its C library already, glibc or musl.
    const { functions } = dlopen(null, {
      sendfile: { arguments: ['i32', 'i32', 'buffer', 'u64'], return: 'i64' },
      preadv2: { arguments: ['i32', 'buffer', 'i32', 'i64', 'i32'], return: 'i64' },
    });
    return new LoadedKernel(functions, getRawPointer);
  } catch {
    return undefined;
  }
}

interface Calls {
  readonly sendfile: (socket: number, file: number, position: Buffer, count: bigint) => bigint;
  readonly preadv2: (file: number, pieces: Buffer, count: number, position: bigint, flags: number) => bigint;
}

class LoadedKernel implements Kernel {
  readonly #calls: Calls;
  readonly #addressOf: (buffer: Buffer) => bigint;
  /** An off_t, which the kernel updates. */
  readonly #position = pinned(8);
  /** A struct iovec: address and length. */
  readonly #vector = pinned(16);
  /** Receives the byte that tests the page cache. A field, since the vector holds only its address. */
  readonly #probe = pinned(1);
  readonly #probeVector = pinned(16);

  constructor(calls: Calls, addressOf: (buffer: Buffer) => bigint) {
    this.#calls = calls;
    this.#addressOf = addressOf;
    this.#aim(this.#probeVector, this.#probe);
  }

  send(socket: number, file: number, position: number, count: number): number {
    if (socket < 0 || !this.#isInMemory(file, position)) return 0;
    let window = Math.min(count, WINDOW);
    if (!this.#isInMemory(file, position + window - 1)) {
      window = Math.min(window, SMALL_WINDOW);
      if (!this.#isInMemory(file, position + window - 1)) return 0;
    }
    this.#position.writeBigInt64LE(BigInt(position));
    // An error of the socket or the file shows in the next operation on it.
    return atLeastNone(this.#calls.sendfile(socket, file, this.#position, BigInt(window)));
  }

  read(file: number, target: Buffer, position: number): number {
    if (target.length === 0) return 0;
    this.#aim(this.#vector, target);
    return atLeastNone(this.#calls.preadv2(file, this.#vector, 1, BigInt(position), RWF_NOWAIT));
  }

  #isInMemory(file: number, position: number): boolean {
    return this.#calls.preadv2(file, this.#probeVector, 1, BigInt(position), RWF_NOWAIT) > 0n;
  }

  #aim(vector: Buffer, target: Buffer): void {
    vector.writeBigUInt64LE(this.#addressOf(target), 0);
    vector.writeBigUInt64LE(BigInt(target.length), 8);
  }
}

/** Memory that does not move: a small typed array may be in V8's heap, which the garbage collector compacts. */
function pinned(bytes: number): Buffer {
  return Buffer.from(new ArrayBuffer(bytes));
}

function atLeastNone(result: bigint): number {
  return result > 0n ? Number(result) : 0;
}
