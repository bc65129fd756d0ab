import { setImmediate as yieldToOthers } from 'node:timers/promises';
import type { BlobReader } from '../../lib/index.ts';
import { BodyBuffers, type BufferPair, SharedBuffers } from '../../lib/index.ts';

const buffers = new BodyBuffers();
const shared = new SharedBuffers();

/** Bodies that get buffers of their own; further ones share. */
const MAX_PRIVATE_PAIRS = 64;

/** The socket's side: whether it has taken the previous piece. */
interface Outlet {
  readonly isTaken: boolean;
  /** Rejects when the client has left. */
  drained(): Promise<void>;
}

/**
 * The buffers of one body on its way to a client.
 *
 * The first 64 bodies have two buffers each: the next piece is read into one while the socket takes the other. Further bodies
 * take turns with a few large shared ones, as long as their next bytes are at hand. A body that waits for an upstream holds
 * no shared buffer, but two small ones of its own.
 */
export class BodyMemory {
  readonly #reader: BlobReader;
  readonly #outlet: Outlet;
  #pair: BufferPair | undefined;
  #next = 0;
  /** The shared buffer that this body holds. */
  #shared: Buffer | undefined;
  #isSlow = false;

  constructor(reader: BlobReader, outlet: Outlet) {
    this.#reader = reader;
    this.#outlet = outlet;
    if (buffers.lent < MAX_PRIVATE_PAIRS) this.#pair = buffers.lend();
  }

  /** The buffer for the next piece; waits for a shared one to be free. */
  async next(): Promise<Buffer> {
    if (this.#pair === undefined && this.#reader.isAtHand === true) {
      this.#shared = await shared.take(this.#isSlow);
      return this.#shared;
    }
    this.#pair ??= buffers.lend();
    this.#next = 1 - this.#next;
    return this.#pair[this.#next as 0 | 1];
  }

  /** Waits, after the piece was written, until its buffer may be used again. */
  async handedOver(): Promise<void> {
    const buffer = this.#shared;
    if (buffer === undefined) return;
    // A socket that has room has taken the piece by the time the other bodies had their turn.
    await yieldToOthers();
    this.#isSlow = !this.#outlet.isTaken;
    if (this.#isSlow) {
      shared.markStalled(buffer);
      await this.#outlet.drained();
    }
    this.#shared = undefined;
    shared.giveBack(buffer);
  }

  /** Returns the buffers once the socket, which may still hold the last piece, has taken it. */
  release(): void {
    const buffer = this.#shared;
    const pair = this.#pair;
    if (buffer !== undefined && !this.#outlet.isTaken) shared.markStalled(buffer);
    const giveBack = (): void => {
      if (buffer !== undefined) shared.giveBack(buffer);
      if (pair !== undefined) buffers.giveBack(pair);
    };
    this.#outlet.drained().then(giveBack, giveBack);
  }
}
