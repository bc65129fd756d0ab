import type { ByteSource } from '../../lib/index.ts';
import { type Digest, type DigestAlgorithm, Digester, OciError } from '../../oci/index.ts';
import type { Ingestion } from '../../store/index.ts';

/** The body of a request that uploads. */
export interface UploadBody {
  /** Bytes that are announced; undefined where they come in chunks. */
  readonly length: number | undefined;
  /** Stricter than a {@link ByteSource}: a chunk stays as it is until the read after the next, since it is written meanwhile. */
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
 * Writes a body to a file and hashes it, chunk by chunk. The disk works while the processor hashes and the next chunk comes; one chunk
 * is read ahead, and what the disk does not take stays in the client's socket. Never rejects: bytes that arrived before a failure count.
 */
export async function receive({ source }: UploadBody, target: Target, options: ReceiveOptions): Promise<Received> {
  const { file, digester } = target;
  const patience = new Patience(source, options.stallMs);
  let written = target.size;
  let size = target.size;
  let writing: Promise<void> | undefined;
  let failure: unknown;
  try {
    for (;;) {
      const chunk = await patience.read();
      await writing;
      written = size;
      if (chunk === undefined) break;
      if (chunk.length === 0) continue;
      options.onGrow(size + chunk.length);
      writing = file.write(chunk, size);
      // It may fail while the next chunk is awaited, and is looked at only then.
      writing.catch(() => {});
      digester.update(chunk);
      size += chunk.length;
    }
  } catch (error) {
    failure = patience.explain(error);
    source.cancel();
    if (await isDone(writing)) written = size;
  } finally {
    patience.end();
  }
  return { size: written, isHashed: written === size, failure };
}

async function isDone(writing: Promise<void> | undefined): Promise<boolean> {
  try {
    await writing;
    return true;
  } catch {
    return false;
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
