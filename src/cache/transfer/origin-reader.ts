import { type BlobReader, ReaderClosedError } from '../../lib/index.ts';
import type { Digest, Digester, OriginBlob, OriginFailure } from '../../oci/index.ts';

/** A wrong body: the upstream's bytes are not what their digest says. Satisfies OriginFailure. */
export class WrongBytesError extends Error implements OriginFailure {
  override readonly name = 'WrongBytesError';
  readonly kind = 'invalid';
  readonly retryAfter = undefined;
  readonly upstream: string;

  constructor(message: string, upstream: string) {
    super(message);
    this.upstream = upstream;
  }
}

/** What an {@link OriginReader} checks on the way. */
export interface OriginReaderOptions {
  /** Position of the last byte wanted; undefined: to the end. */
  readonly end?: number | undefined;
  /** Bytes the whole blob was promised to have; a body of another size is refused. @default what the origin says */
  readonly size?: number | undefined;
  /** The digest of the whole blob, with a digester that has seen everything before the body. */
  readonly expect?: Digest;
  readonly digester?: Digester;
}

/**
 * Hands an origin's body to one client, without a file between them: for a part of a blob that is not here, and where the
 * disk takes nothing more.
 *
 * With a digest to expect, the last bytes are handed out only once it holds.
 */
export class OriginReader implements BlobReader {
  readonly #blob: OriginBlob;
  readonly #options: OriginReaderOptions;
  readonly #size: number | undefined;
  #position: number;
  #chunk: Buffer | undefined;
  #verified = false;
  #closed = false;

  /** @throws {WrongBytesError} where the origin's blob is not of the size that was promised */
  constructor(blob: OriginBlob, options: OriginReaderOptions = {}) {
    const { size = blob.size } = options;
    this.#blob = blob;
    this.#options = options;
    this.#size = size;
    this.#position = blob.offset;
    if (blob.size !== undefined && blob.size !== size) {
      blob.body.cancel();
      const { upstream } = blob;
      throw new WrongBytesError(`${upstream} gives ${blob.size} bytes for a blob that had ${size} before`, upstream);
    }
  }

  async read(target: Buffer): Promise<number> {
    const { end } = this.#options;
    if (this.#closed) throw new ReaderClosedError();
    if (end !== undefined && this.#position > end) {
      this.#blob.body.cancel();
      return 0;
    }
    this.#chunk ??= await this.#next();
    if (this.#chunk === undefined) return 0;
    const wanted = end === undefined ? target.length : Math.min(target.length, end + 1 - this.#position);
    const count = this.#chunk.copy(target, 0, 0, Math.min(wanted, this.#chunk.length));
    this.#chunk = count === this.#chunk.length ? undefined : this.#chunk.subarray(count);
    this.#position += count;
    return count;
  }

  close(): void {
    this.#closed = true;
    this.#blob.body.cancel();
  }

  async #next(): Promise<Buffer | undefined> {
    const { upstream, body } = this.#blob;
    const { digester, end } = this.#options;
    const size = this.#size;
    let chunk = await body.read();
    // Nothing arrived, which is not the end: a reader's 0 would say so.
    while (chunk?.length === 0) chunk = await body.read();
    if (chunk !== undefined) digester?.update(chunk);
    const reached = this.#position + (chunk?.length ?? 0);
    const last = end === undefined ? size : end + 1;
    if (chunk === undefined && last !== undefined && reached < last) {
      throw new WrongBytesError(`${upstream} ended after ${reached} of ${last} bytes`, upstream);
    }
    if (size !== undefined && end === undefined && reached > size) {
      throw new WrongBytesError(`${upstream} sends more than the ${size} bytes it promised`, upstream);
    }
    if (chunk === undefined || reached === size) this.#verify();
    return chunk;
  }

  #verify(): void {
    const { digester, expect } = this.#options;
    if (this.#verified || digester === undefined || expect === undefined) return;
    this.#verified = true;
    const found = digester.digest();
    if (found === expect) return;
    const { upstream } = this.#blob;
    throw new WrongBytesError(`Bytes from ${upstream} have the digest ${found} instead of ${expect}`, upstream);
  }
}
