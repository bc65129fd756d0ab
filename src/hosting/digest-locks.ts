import type { Digest } from '../oci/index.ts';

/**
 * Runs work on one digest after the other: a file is committed and recorded, or it is found unreferenced and deleted, and never both at a
 * time. Work on different digests does not wait for each other.
 *
 * Work never asks for a lock of its own digest, since it would wait for itself. Work that holds two digests asks for them in their order.
 */
export class DigestLocks {
  /** The end of the newest work on each digest; it never rejects. */
  readonly #ends = new Map<Digest, Promise<void>>();

  /** How many digests are being worked on. */
  get size(): number {
    return this.#ends.size;
  }

  /** Runs `work` when all earlier work on the digest has ended, whatever became of it. Settles as `work` does. */
  async run<Result>(digest: Digest, work: () => Promise<Result>): Promise<Result> {
    const earlier = this.#ends.get(digest);
    const { promise: end, resolve } = Promise.withResolvers<void>();
    this.#ends.set(digest, end);
    try {
      await earlier;
      return await work();
    } finally {
      resolve();
      if (this.#ends.get(digest) === end) this.#ends.delete(digest);
    }
  }
}
