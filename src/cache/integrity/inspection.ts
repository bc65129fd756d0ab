import { type Digest, Digester, digestAlgorithm } from '../../oci/index.ts';
import type { StoredBlob } from '../../store/index.ts';
import type { Corruption } from './corruption.ts';

/** Bytes hashed at a time: a fraction of a millisecond, after which the event loop turns. */
const STEP = 256 * 1024;

/** The result of an inspection. `abandoned`: it was not finished, as the server stops. */
type Verdict = 'right' | 'rotten' | 'abandoned';

/** Why a reader is cut off: the bytes that it has had are not the blob. */
export class RottenBlobError extends Error {
  override readonly name = 'RottenBlobError';

  constructor(digest: Digest, detail: string) {
    super(`Cannot go on with the stored blob ${digest}: ${detail}. The next request fetches it again`);
  }
}

/** One hashing of a stored blob, shared by all who read it meanwhile. */
export class Inspection {
  readonly digest: Digest;
  /** Resolves when there is a verdict; never rejects. */
  readonly done: Promise<Verdict>;
  #verdict: Verdict | undefined;
  #corruption: Corruption | undefined;
  #reason = '';

  /** @param look rejects only where the server stops */
  constructor(digest: Digest, look: () => Promise<Corruption | undefined>) {
    this.digest = digest;
    this.done = this.#run(look);
  }

  /** Undefined while it runs. */
  get verdict(): Verdict | undefined {
    return this.#verdict;
  }

  /** What is wrong with the blob; undefined where nothing is, or it is not known yet. */
  get corruption(): Corruption | undefined {
    return this.#corruption;
  }

  /** @throws {RottenBlobError} where the content is corrupt, or the inspection was abandoned */
  assertNotRotten(): void {
    if (this.#verdict === undefined || this.#verdict === 'right') return;
    throw new RottenBlobError(this.digest, this.#corruption?.detail ?? this.#reason);
  }

  async #run(look: () => Promise<Corruption | undefined>): Promise<Verdict> {
    try {
      this.#corruption = await look();
      this.#verdict = this.#corruption === undefined ? 'right' : 'rotten';
    } catch (error) {
      this.#reason = `its content was not looked at to the end (${(error as Error).message})`;
      this.#verdict = 'abandoned';
    }
    return this.#verdict;
  }
}

/**
 * Hashes a stored blob, and says what is wrong with it; undefined where it is right.
 *
 * Rejects only with the signal's reason: a file that cannot be read is corrupt.
 */
export async function inspect(digest: Digest, blob: StoredBlob, signal: AbortSignal): Promise<Corruption | undefined> {
  const { size } = blob;
  const digester = new Digester(digestAlgorithm(digest));
  const buffer = Buffer.allocUnsafeSlow(Math.min(size, STEP));
  for (let position = 0; position < size; ) {
    signal.throwIfAborted();
    let count: number;
    try {
      const wanted = Math.min(buffer.length, size - position);
      count = await blob.read(wanted === buffer.length ? buffer : buffer.subarray(0, wanted), position);
    } catch (error) {
      return unreadable(error);
    }
    if (count === 0) return shortened(position, size);
    digester.update(buffer.subarray(0, count));
    position += count;
  }
  const found = digester.digest();
  return found === digest ? undefined : { reason: 'content', detail: `its ${size} bytes have the digest ${found}` };
}

export function unreadable(error: unknown): Corruption {
  return { reason: 'unreadable', detail: `the disk cannot read it (${(error as Error).message})` };
}

export function shortened(position: number, size: number): Corruption {
  return { reason: 'size', detail: `its file ends at ${position} of ${size} bytes` };
}

/** Two handles for one open blob, which is closed when both are. */
export function shareHandle(blob: StoredBlob): readonly [StoredBlob, StoredBlob] {
  let left = 2;
  function handle(): StoredBlob {
    let closed = false;
    return {
      size: blob.size,
      mark: blob.mark,
      direct: blob.direct,
      read: (target, position) => blob.read(target, position),
      async close() {
        if (closed) return;
        closed = true;
        left -= 1;
        if (left === 0) await blob.close();
      },
    };
  }
  return [handle(), handle()];
}
