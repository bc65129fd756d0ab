import { setImmediate as turn } from 'node:timers/promises';
import type { BlobReader } from '../../lib/index.ts';
import { BodyBuffers, type BufferPair, SharedBuffers } from '../../lib/index.ts';

const buffers = new BodyBuffers();
const turns = new SharedBuffers();

/** Bodies that have buffers of their own; those beyond share some. */
const WITH_THEIR_OWN = 64;

/** What tells when the socket has taken the piece before. */
interface Outlet {
  readonly isTaken: boolean;
  /** Rejects when the client has left. */
  drained(): Promise<void>;
}

/**
 * The memory of one body on its way to a client.
 *
 * A few bodies have two buffers each: the next piece is read into one while the other is on its way out. Beyond that they
 * take turns with a few large ones, as long as what is next is at hand; whoever waits for an upstream holds none of those and
 * gets two small ones of its own.
 */
export class BodyMemory {
  readonly #reader: BlobReader;
  readonly #outlet: Outlet;
  #pair: BufferPair | undefined;
  #next = 0;
  /** The shared one, while it is ours. */
  #shared: Buffer | undefined;
  #isSlow = false;

  constructor(reader: BlobReader, outlet: Outlet) {
    this.#reader = reader;
    this.#outlet = outlet;
    if (buffers.lent < WITH_THEIR_OWN) this.#pair = buffers.lend();
  }

  /** Where the next piece is to be read to, when there is a place. */
  async next(): Promise<Buffer> {
    if (this.#pair === undefined && this.#reader.isAtHand === true) {
      this.#shared = await turns.take(this.#isSlow);
      return this.#shared;
    }
    this.#pair ??= buffers.lend();
    this.#next = 1 - this.#next;
    return this.#pair[this.#next as 0 | 1];
  }

  /** To be waited for when the piece was handed to the socket. */
  async handedOver(): Promise<void> {
    const shared = this.#shared;
    if (shared === undefined) return;
    // A socket that has room has taken it before the others have had their turn.
    await turn();
    this.#isSlow = !this.#outlet.isTaken;
    if (this.#isSlow) {
      turns.markStalled(shared);
      await this.#outlet.drained();
    }
    this.#shared = undefined;
    turns.giveBack(shared);
  }

  /** Gives everything back as soon as the socket, which may still hold the last piece, is done with it. */
  release(): void {
    const shared = this.#shared;
    const pair = this.#pair;
    if (shared !== undefined && !this.#outlet.isTaken) turns.markStalled(shared);
    const giveBack = (): void => {
      if (shared !== undefined) turns.giveBack(shared);
      if (pair !== undefined) buffers.giveBack(pair);
    };
    this.#outlet.drained().then(giveBack, giveBack);
  }
}
