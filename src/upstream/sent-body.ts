import { byteSourceOf } from '../lib/index.ts';
import { HttpError, type RequestBody } from '../net/index.ts';
import { OciError, type PushBody } from '../oci/index.ts';

/**
 * The body of a request that may have to be sent again: with another token, or to where it is redirected. Bytes in memory can be
 * sent any number of times, a stream until its first byte was read.
 */
export class SentBody {
  readonly #content: Buffer | PushBody;
  #isTouched = false;
  /** The client's next bytes are awaited. */
  #isWaiting = false;
  #isCancelled = false;
  #hasStalled = false;
  #error: Error | undefined;

  constructor(content: Buffer | PushBody) {
    this.#content = content;
  }

  /** True where it cannot be sent again. */
  get isSpent(): boolean {
    return this.#isTouched;
  }

  /** Whether the server is asked before the body is sent; bytes in memory cost nothing. */
  get isAnnounced(): boolean {
    return !Buffer.isBuffer(this.#content);
  }

  /** The body for one exchange. An exchange that ends before it has read anything leaves the stream as it is. */
  attempt(): RequestBody {
    const content = this.#content;
    if (Buffer.isBuffer(content)) return { length: content.length, source: byteSourceOf([content]) };
    const { source, length } = content;
    return {
      length,
      source: {
        read: async () => {
          this.#isTouched = true;
          this.#isWaiting = true;
          try {
            return await source.read();
          } catch (error) {
            // After a cancellation the exchange is the one that failed.
            if (!this.#isCancelled) this.#error = error instanceof Error ? error : new Error(String(error));
            throw error;
          } finally {
            this.#isWaiting = false;
          }
        },
        cancel: (reason) => {
          if (!this.#isTouched) return;
          this.#hasStalled ||= this.#isWaiting && !this.#isCancelled;
          this.#isCancelled = true;
          source.cancel(reason);
        },
      },
    };
  }

  /** Why an exchange failed, where the sender of the body is the reason: it left, or sends no more. The upstream is not to blame. */
  faultOf(error: unknown): Error | undefined {
    if (this.#error !== undefined) return this.#error;
    const isLate = error instanceof HttpError && error.code === 'timeout';
    if (!this.#hasStalled || !isLate) return undefined;
    return new OciError('BLOB_UPLOAD_INVALID', 'the client stopped sending the body', { status: 408, cause: error });
  }

  /** Drops what was not sent. */
  end(): void {
    if (!Buffer.isBuffer(this.#content)) this.#content.source.cancel();
  }
}
