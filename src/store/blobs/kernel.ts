/**
 * Two calls of the kernel that Node has no function for, made through node:ffi. Both never wait, which is why they may be
 * made on the thread that serves everybody: what is not in memory yet, or finds no room, is not done.
 */
export interface Kernel {
  /**
   * Brings bytes of a file to a socket without a copy through this process (sendfile(2)).
   *
   * @param count more than 0; no more than {@link WINDOW} of them are sent
   * @returns bytes the socket took; 0 where it has no room, or they are not in memory, or it cannot be done
   */
  send(socket: number, file: number, position: number, count: number): number;
  /**
   * Reads what is in memory (preadv2(2) with RWF_NOWAIT).
   *
   * @returns bytes read; 0 at the end of the file, and where they are not in memory, or it cannot be done
   */
  read(file: number, target: Buffer, position: number): number;
}

/** Bytes that one call may send: a client that takes everything at once is not to hold up the others. */
export const WINDOW = 2 * 1024 * 1024;

/** Sent where the window reaches beyond what is in memory. */
const SMALL_WINDOW = 64 * 1024;

/** Of <fcntl.h>, the same on every Linux. */
const RWF_NOWAIT = 8;

let kernel: Kernel | undefined;
let isAsked = false;

/**
 * The kernel's calls, once they are loaded: the first question starts that, so that a start does not wait for it.
 *
 * Undefined also where they cannot be had: another system than 64-bit Linux, a Node without node:ffi (before 26, or started
 * with `--no-experimental-ffi`, which is the way to do without). Everything works without them, at a higher price.
 */
export function kernelCalls(): Kernel | undefined {
  if (!isAsked) {
    isAsked = true;
    void load();
  }
  return kernel;
}

async function load(): Promise<void> {
  kernel = await loadKernel();
}

/** Loads the kernel's calls; undefined where they cannot be had. Never rejects. */
export async function loadKernel(): Promise<Kernel | undefined> {
  if (process.platform !== 'linux' || !['x64', 'arm64'].includes(process.arch)) return undefined;
  try {
    const { dlopen, getRawPointer } = await import('node:ffi');
    // Of the process itself: its C library is in memory already, whichever it is.
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
  /** An off_t, which the kernel also writes to. */
  readonly #position = pinned(8);
  /** A struct iovec: address and length. */
  readonly #vector = pinned(16);
  /** Where the byte goes that is read to learn whether it is in memory; held here, as the vector has only its address. */
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
    // What is wrong with the socket or the file is told by whatever is done with it next.
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

/** Memory that stays where it is: a small typed array may lie in the heap, and be moved with it. */
function pinned(bytes: number): Buffer {
  return Buffer.from(new ArrayBuffer(bytes));
}

function atLeastNone(result: bigint): number {
  return result > 0n ? Number(result) : 0;
}
