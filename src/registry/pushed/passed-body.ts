import type { PassingBlob } from '../../cache/index.ts';
import type { ByteSource } from '../../lib/index.ts';
import { OciError } from '../../oci/index.ts';

/** The body of a client on its way to an upstream. Each chunk is written to the kept blob while the upstream takes it. */
export class PassedBody implements ByteSource {
  readonly #source: ByteSource;
  readonly #blob: PassingBlob | undefined;
  #writing: Promise<void> = Promise.resolve();
  #length = 0;

  constructor(source: ByteSource, blob: PassingBlob | undefined) {
    this.#source = source;
    this.#blob = blob;
  }

  /** Bytes that have passed. */
  get length(): number {
    return this.#length;
  }

  async read(): Promise<Buffer | undefined> {
    // A chunk is valid until the next read only, and the disk may be slower than the upstream.
    await this.#writing;
    let chunk: Buffer | undefined;
    try {
      chunk = await this.#source.read();
    } catch (cause) {
      throw new OciError('BLOB_UPLOAD_INVALID', 'the body ended before it was complete', { cause });
    }
    if (chunk === undefined || chunk.length === 0) return chunk;
    this.#length += chunk.length;
    if (this.#blob !== undefined) this.#writing = this.#blob.append(chunk);
    return chunk;
  }

  cancel(reason?: Error): void {
    this.#source.cancel(reason);
  }

  /** Resolves when every byte that has passed is kept, or is not to be. */
  settled(): Promise<void> {
    return this.#writing;
  }
}
