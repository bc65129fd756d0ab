import type { PassingBlob } from '../../cache/index.ts';

/** Uploads whose bytes are kept at a time: each has a file open. */
const MOST = 128;

/** Milliseconds without news after which the bytes of an upload are dropped; the upload itself may go on. */
const IDLE = 15 * 60_000;

interface Passing {
  readonly blob: PassingBlob;
  readonly timer: NodeJS.Timeout;
}

/**
 * The bytes of uploads between two of their requests. One that is forgotten costs the keeping of its blob alone. While a request
 * sends bytes, its blob is out of here: a second request at the same time finds none, and its bytes make the blob useless.
 */
export class PassingUploads {
  readonly #uploads = new Map<string, Passing>();

  /** Takes the blob of an upload out. */
  take(id: string): PassingBlob | undefined {
    const found = this.#uploads.get(id);
    if (found === undefined) return undefined;
    this.#uploads.delete(id);
    clearTimeout(found.timer);
    return found.blob;
  }

  /** Keeps it for the next request. */
  put(id: string, blob: PassingBlob | undefined): void {
    if (blob === undefined || blob.isOver) return;
    if (this.#uploads.has(id) || this.#uploads.size >= MOST) {
      void blob.drop();
      return;
    }
    const timer = setTimeout(() => void this.take(id)?.drop(), IDLE);
    timer.unref();
    this.#uploads.set(id, { blob, timer });
  }
}
