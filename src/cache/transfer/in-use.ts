import type { BlobReader } from '../../lib/index.ts';
import type { Digest } from '../../oci/index.ts';

/**
 * Which blobs are being read. The sweep leaves them alone: removing an open file frees no space on the disk, and the next
 * request for a blob in demand would have to fetch it again.
 */
export class InUse {
  readonly #holders = new Map<Digest, number>();

  has(digest: Digest): boolean {
    return this.#holders.has(digest);
  }

  /** Counts one more holder, until the returned function is called for the first time. */
  hold(digest: Digest): () => void {
    this.#holders.set(digest, (this.#holders.get(digest) ?? 0) + 1);
    let isHeld = true;
    return () => {
      if (!isHeld) return;
      isHeld = false;
      const left = (this.#holders.get(digest) ?? 1) - 1;
      if (left > 0) this.#holders.set(digest, left);
      else this.#holders.delete(digest);
    };
  }
}

/** A reader that lets go of its blob when it is closed. */
export function releasing(reader: BlobReader, release: () => void): BlobReader {
  return {
    read: (target) => reader.read(target),
    get isAtHand() {
      return reader.isAtHand === true;
    },
    get direct() {
      return reader.direct;
    },
    close() {
      release();
      reader.close();
    },
  };
}
