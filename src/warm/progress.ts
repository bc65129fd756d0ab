import type { Ingest } from '../cache/index.ts';
import type { Digest } from '../oci/index.ts';

/** A transfer, as far as its progress is read. */
type Running = Pick<Ingest, 'received'>;

/** How far one image is. Reading it adds up the few transfers that run. */
export class Progress {
  digest: Digest | undefined;
  /** Bytes in all, as far as manifests are known. */
  size = 0;
  /** Blobs that are stored, and all of them. */
  blobs = 0;
  blobCount = 0;
  #stored = 0;
  #fetched = 0;
  readonly #running = new Map<Running, { readonly isOurs: boolean }>();

  /** Bytes that are stored, or in a transfer on their way to the store. */
  get bytes(): number {
    let bytes = this.#stored;
    for (const { received } of this.#running.keys()) bytes += received;
    return bytes;
  }

  /** Bytes of the transfers that were started for it; those that a client had started do not count. */
  get fetched(): number {
    let bytes = this.#fetched;
    for (const [{ received }, { isOurs }] of this.#running) if (isOurs) bytes += received;
    return bytes;
  }

  /** Another attempt looks at everything again; what was fetched stays counted. */
  restart(): void {
    this.size = 0;
    this.blobs = 0;
    this.blobCount = 0;
    this.#stored = 0;
  }

  /** Notes bytes that are stored. */
  stored(bytes: number): void {
    this.#stored += bytes;
  }

  /** Leaves out a blob that no upstream has to give. */
  leaveOut(size: number): void {
    this.size -= size;
    this.blobCount -= 1;
  }

  addFetched(bytes: number): void {
    this.#fetched += bytes;
  }

  follow(transfer: Running, how: { readonly isOurs: boolean }): void {
    this.#running.set(transfer, how);
  }

  /** The transfer has ended, or is followed no more. */
  leave(transfer: Running): void {
    const followed = this.#running.get(transfer);
    if (followed?.isOurs === true) this.#fetched += transfer.received;
    this.#running.delete(transfer);
  }
}
