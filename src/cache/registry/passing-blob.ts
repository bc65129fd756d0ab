import { type Digest, type DigestAlgorithm, Digester, digestAlgorithm } from '../../oci/index.ts';
import type { BlobStore, Ingestion } from '../../store/index.ts';
import type { Capacity } from '../capacity.ts';

export interface PassingBlobOptions {
  readonly store: BlobStore;
  readonly capacity: Capacity;
  /** Publishes the file, whose content was hashed. */
  readonly publish: (file: Ingestion, content: { readonly digest: Digest; readonly size: number }) => Promise<void>;
  /** Called once, when nothing more will be kept. */
  readonly onOver: (blob: PassingBlob) => void;
}

/** Bytes after which it is asked again whether they may be kept. */
const LOOK_EVERY = 16 * 1024 * 1024;
const READ_SIZE = 256 * 1024;

/**
 * The bytes of a blob on their way to an upstream, kept beside it: a file that grows, and their hash. Nothing of it is visible
 * before `commit`.
 *
 * Whatever goes wrong here costs the keeping alone, so no method rejects. Bytes are appended one chunk after the other.
 */
export class PassingBlob {
  readonly #options: PassingBlobOptions;
  readonly #algorithm: DigestAlgorithm;
  readonly #digester: Digester;
  #file: Ingestion | undefined;
  #isOver = false;
  #written = 0;
  #askAt = 0;
  #work: Promise<void> = Promise.resolve();

  /** @param algorithm of the digest that the client will probably name; another one costs a second reading */
  constructor(options: PassingBlobOptions, algorithm: DigestAlgorithm = 'sha256') {
    this.#options = options;
    this.#algorithm = algorithm;
    this.#digester = new Digester(algorithm);
  }

  /** Bytes that have passed. */
  get written(): number {
    return this.#written;
  }

  /** True where its bytes are not kept, or no more. */
  get isOver(): boolean {
    return this.#isOver;
  }

  /** Keeps the next bytes. The caller may reuse the buffer when the promise resolves. */
  append(bytes: Buffer): Promise<void> {
    if (!this.#isOver && bytes.length > 0) this.#work = this.#append(bytes);
    return this.#work;
  }

  async #append(bytes: Buffer): Promise<void> {
    const { store, capacity } = this.#options;
    try {
      if (this.#written >= this.#askAt) {
        if (!capacity.mayKeep(this.#written)) return await this.#end();
        this.#askAt = this.#written + LOOK_EVERY;
      }
      this.#digester.update(bytes);
      this.#file ??= await store.begin();
      await this.#file.write(bytes, this.#written);
      this.#written += bytes.length;
    } catch (error) {
      capacity.refused(error);
      await this.#end();
    }
  }

  /**
   * Publishes what has passed, where it has the digest.
   *
   * @returns its size; undefined where it was not kept, or has another digest
   */
  async commit(digest: Digest): Promise<number | undefined> {
    if (this.#isOver) return undefined;
    const { store, capacity, publish } = this.#options;
    const size = this.#written;
    try {
      const file = (this.#file ??= await store.begin());
      if (!capacity.mayKeep(size) || !capacity.mayPublish() || (await this.#digestAs(digest)) !== digest) {
        return undefined;
      }
      await capacity.decided();
      await publish(file, { digest, size });
      capacity.look();
      return size;
    } catch (error) {
      capacity.refused(error);
      return undefined;
    } finally {
      await this.#end();
    }
  }

  /** Gives the bytes up; what was published stays. */
  async drop(): Promise<void> {
    if (this.#isOver) return;
    this.#isOver = true;
    // The file is not closed under a write.
    await this.#work;
    await this.#end();
  }

  async #end(): Promise<void> {
    this.#isOver = true;
    this.#options.onOver(this);
    const file = this.#file;
    this.#file = undefined;
    if (file === undefined) return;
    // A disk that fails here has failed before, and the next start removes the file.
    await file.abort().catch(() => undefined);
    await file.close().catch(() => undefined);
  }

  async #digestAs(wanted: Digest): Promise<Digest | undefined> {
    const algorithm = digestAlgorithm(wanted);
    if (algorithm === this.#algorithm) return this.#digester.digest();
    const digester = new Digester(algorithm);
    const buffer = Buffer.allocUnsafe(READ_SIZE);
    for (let read = 0; read < this.#written; ) {
      const count = (await this.#file?.read(buffer, read)) ?? 0;
      if (count === 0) return undefined;
      digester.update(buffer.subarray(0, count));
      read += count;
    }
    return digester.digest();
  }
}
