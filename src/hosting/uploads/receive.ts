import { BodyBuffers, type ByteSource } from '../../lib/index.ts';
import { type Digest, type DigestAlgorithm, Digester, OciError } from '../../oci/index.ts';
import type { Ingestion } from '../../store/index.ts';

/** The body of a request that uploads. */
export interface UploadBody {
  /** Bytes that are announced; undefined where they come in chunks. */
  readonly length: number | undefined;
  readonly source: ByteSource;
}

/** Where the bytes of a body go. */
interface Target {
  readonly file: Ingestion;
  /** Has seen the first `size` bytes of the file. */
  readonly digester: Digester;
  readonly size: number;
}

interface ReceiveOptions {
  /** Milliseconds that the client may send nothing. */
  readonly stallMs: number;
  /** Called with the size that the file is about to have; what it throws ends the body. */
  readonly onGrow: (size: number) => void;
}

/** What became of a body. */
export interface Received {
  /** Bytes that are in the file. */
  readonly size: number;
  /** Whether the digester has seen those and no others. False: the disk refused bytes that it has seen. */
  readonly isHashed: boolean;
  /** Undefined where the body came to its end. */
  readonly failure: unknown;
}

/**
 * Writes a body to a file and hashes it. Chunks are gathered in a buffer: the disk is asked once for many of them, and works on one buffer
 * while the other fills. What the disk does not take stays in the client's socket. Never rejects: bytes that arrived before a failure count.
 */
export async function receive({ source }: UploadBody, target: Target, options: ReceiveOptions): Promise<Received> {
  const patience = new Patience(source, options.stallMs);
  const gathering = new Gathering(target);
  let failure: unknown;
  try {
    for (;;) {
      const chunk = await patience.read();
      if (chunk === undefined) break;
      options.onGrow(gathering.size + chunk.length);
      await gathering.add(chunk);
    }
    await gathering.end();
  } catch (error) {
    failure = patience.explain(error);
    source.cancel();
    await gathering.end().catch(() => undefined);
  } finally {
    patience.end();
    await gathering.close();
  }
  const { written, hashed } = gathering;
  return { size: written, isHashed: written === hashed, failure };
}

const BUFFERS = new BodyBuffers();

/** Milliseconds after which bytes are written although more would fit: a client that is slow, or away, is to find them in the file. */
const WRITE_AFTER = 100;

/** Bytes on their way to a file. */
class Gathering {
  readonly #target: Target;
  readonly #buffers = BUFFERS.lend();
  readonly #timer: NodeJS.Timeout;
  #current = 0;
  #filled = 0;
  /** Undefined while the disk has nothing to do. */
  #writing: Promise<void> | undefined;
  #error: { readonly cause: unknown } | undefined;
  /** Bytes of the file that the digester has seen, and that the disk was asked to write. */
  hashed: number;
  /** Bytes of the file that are written. */
  written: number;

  constructor(target: Target) {
    this.#target = target;
    this.hashed = target.size;
    this.written = target.size;
    this.#timer = setInterval(() => {
      if (this.#filled > 0 && this.#writing === undefined && this.#error === undefined) this.#start();
    }, WRITE_AFTER);
    this.#timer.unref();
  }

  /** Bytes of the file with all that came. */
  get size(): number {
    return this.hashed + this.#filled;
  }

  /** Takes a copy. Rejects where the disk refused what came before. */
  async add(chunk: Buffer): Promise<void> {
    for (let at = 0; at < chunk.length; ) {
      const buffer = this.#buffers[this.#current] as Buffer;
      const count = chunk.copy(buffer, this.#filled, at);
      this.#filled += count;
      at += count;
      if (this.#filled === buffer.length) await this.#write();
    }
  }

  /** Writes what is left. Rejects where the disk refuses it. */
  async end(): Promise<void> {
    clearInterval(this.#timer);
    if (this.#filled > 0) await this.#write();
    await this.#idle();
  }

  /** Afterwards nothing reads or writes the buffers any more. */
  async close(): Promise<void> {
    clearInterval(this.#timer);
    await this.#writing;
    BUFFERS.giveBack(this.#buffers);
  }

  async #write(): Promise<void> {
    await this.#idle();
    // The timer may have been quicker.
    if (this.#filled > 0) this.#start();
  }

  #start(): void {
    const bytes = (this.#buffers[this.#current] as Buffer).subarray(0, this.#filled);
    this.#writing = this.#store(bytes, this.hashed);
    this.#target.digester.update(bytes);
    this.hashed += bytes.length;
    this.#filled = 0;
    this.#current = 1 - this.#current;
  }

  /** Never rejects. */
  async #store(bytes: Buffer, position: number): Promise<void> {
    try {
      await this.#target.file.write(bytes, position);
      this.written = position + bytes.length;
    } catch (cause) {
      this.#error = { cause };
    }
    this.#writing = undefined;
  }

  /** Rejects with what the disk said. */
  async #idle(): Promise<void> {
    while (this.#writing !== undefined) await this.#writing;
    if (this.#error !== undefined) throw this.#error.cause;
  }
}

/** Hashes the first `size` bytes of a file, at most {@link REREAD} at a time. */
export async function hashFile(
  file: Pick<Ingestion, 'read'>,
  size: number,
  algorithm: DigestAlgorithm,
): Promise<Digester> {
  const digester = new Digester(algorithm);
  const buffer = Buffer.allocUnsafeSlow(Math.min(size, REREAD));
  for (let position = 0; position < size; ) {
    const count = await file.read(buffer.subarray(0, Math.min(buffer.length, size - position)), position);
    if (count === 0) throw new Error(`Cannot hash a file as it ends after ${position} of ${size} bytes`);
    digester.update(buffer.subarray(0, count));
    position += count;
  }
  return digester;
}

/** Bytes that are read at once to hash a file again: a few milliseconds of hashing, in which nothing else runs. */
const REREAD = 1024 * 1024;

/** @throws {OciError} DIGEST_INVALID where the digests differ */
export function requireDigest(found: Digest, expected: Digest): void {
  if (found === expected) return;
  throw new OciError('DIGEST_INVALID', `the bytes have the digest ${found} instead of ${expected}; upload them again`);
}

/** Reads a source as long as its client sends: the server itself waits for good where no answer has begun. */
class Patience {
  readonly #source: ByteSource;
  readonly #ms: number;
  readonly #timer: NodeJS.Timeout;
  #isReading = false;
  #isOver = false;

  constructor(source: ByteSource, ms: number) {
    this.#source = source;
    this.#ms = ms;
    this.#timer = setTimeout(() => {
      // A slow disk is not the client's fault.
      if (!this.#isReading) return;
      this.#isOver = true;
      this.#source.cancel();
    }, ms);
    this.#timer.unref();
  }

  async read(): Promise<Buffer | undefined> {
    this.#timer.refresh();
    this.#isReading = true;
    try {
      return await this.#source.read();
    } finally {
      this.#isReading = false;
    }
  }

  explain(error: unknown): unknown {
    if (!this.#isOver) return error;
    const message = `no byte came for ${this.#ms / 1000} s; ask the session how far it is, and go on from there`;
    return new OciError('BLOB_UPLOAD_INVALID', message, {
      status: 408,
      headers: { connection: 'close' },
      cause: error,
    });
  }

  end(): void {
    clearTimeout(this.#timer);
  }
}
