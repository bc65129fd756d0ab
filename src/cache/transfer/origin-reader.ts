import { type BlobReader, ReaderClosedError } from '../../lib/index.ts';
import type { Digest, Digester, OriginBlob } from '../../oci/index.ts';
import { OriginError } from '../origin-error.ts';

/** The upstream's bytes are not what their digest or their size says. */
export function wrongBytes(message: string, upstream: string, another = false): OriginError {
  return new OriginError(message, { kind: 'invalid', upstream, another });
}

/** What an {@link OriginReader} checks on the way. */
interface OriginReaderOptions {
  /** Position of the last byte wanted; undefined: to the end. */
  readonly end?: number | undefined;
  /** Bytes that the whole blob should have; a body of another size is refused. @default the size that the origin gives */
  readonly size?: number | undefined;
  /** The digest of the whole blob, with a digester that has seen everything before the body. */
  readonly expect?: Digest;
  readonly digester?: Digester;
}

/**
 * Passes an origin's body to one client without a file in between: for a part of a blob that is not stored, and where the
 * disk refuses more bytes.
 *
 * With an expected digest, the last bytes are passed on only once it matches.
 */
export class OriginReader implements BlobReader {
  readonly #blob: OriginBlob;
  readonly #options: OriginReaderOptions;
  readonly #size: number | undefined;
  #position: number;
  #chunk: Buffer | undefined;
  #verified = false;
  #closed = false;

  /** @throws {OriginError} where the origin's blob has not the expected size */
  constructor(blob: OriginBlob, options: OriginReaderOptions = {}) {
    const { size = blob.size } = options;
    this.#blob = blob;
    this.#options = options;
    this.#size = size;
    this.#position = blob.offset;
    if (blob.size !== undefined && blob.size !== size) {
      blob.body.cancel();
      throw this.#wrong(`${blob.upstream} gives ${blob.size} bytes for a blob that had ${size} before`);
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
    let chunk: Buffer | undefined;
    try {
      // An empty chunk is not the end, but a reader's 0 would be.
      do chunk = await body.read();
      while (chunk?.length === 0);
    } catch (error) {
      if (this.#closed || this.#blob.giveUp === undefined) throw error;
      this.#blob.giveUp();
      const message = `${upstream} broke off: ${(error as Error).message}`;
      throw new OriginError(message, { kind: 'unavailable', upstream, another: true, cause: error });
    }
    if (chunk !== undefined) digester?.update(chunk);
    const reached = this.#position + (chunk?.length ?? 0);
    const last = end === undefined ? size : end + 1;
    if (chunk === undefined && last !== undefined && reached < last) {
      throw this.#wrong(`${upstream} ended after ${reached} of ${last} bytes`);
    }
    if (size !== undefined && end === undefined && reached > size) {
      throw this.#wrong(`${upstream} sends more than the ${size} bytes it promised`);
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
    throw this.#wrong(`Bytes from ${this.#blob.upstream} have the digest ${found} instead of ${expect}`);
  }

  #wrong(message: string): OriginError {
    const { upstream, giveUp } = this.#blob;
    giveUp?.();
    return wrongBytes(message, upstream, giveUp !== undefined);
  }
}
