import { crashPoint } from '../lib/index.ts';
import type { Digest } from '../oci/index.ts';
import type { BlobSource, HostedBlob, HostedStore, LinkableBlobStore } from '../store/index.ts';

/** How far the copying has come. */
export interface CopyProgress {
  /** Distinct digests, and their bytes. */
  readonly totalBlobs: number;
  readonly totalBytes: number;
  /** Done so far: copied, already there, or found wrong. */
  readonly blobs: number;
  readonly bytes: number;
  readonly copiedBlobs: number;
  readonly copiedBytes: number;
  readonly problems: number;
}

/** Nothing was to be copied. */
export const NOTHING_COPIED = {
  totalBlobs: 0,
  totalBytes: 0,
  blobs: 0,
  bytes: 0,
  copiedBlobs: 0,
  copiedBytes: 0,
  problems: 0,
} as const satisfies CopyProgress;

/** A blob that was not copied. */
export interface Problem {
  readonly digest: Digest;
  /** The first few repositories that have it: `apps/web`. */
  readonly repositories: readonly string[];
  /** As a clause: `it is missing`. */
  readonly why: string;
}

interface CopyAllOptions {
  readonly source: BlobSource;
  readonly target: LinkableBlobStore;
  /** What they name is copied. Nothing changes them meanwhile. */
  readonly records: HostedStore;
  readonly signal?: AbortSignal | undefined;
  /** Told after each blob, and of each {@link TELL_BYTES} of a large one. */
  readonly onProgress?: ((progress: CopyProgress) => void) | undefined;
}

/** Problems that a report lists; all are counted. */
const MAX_PROBLEMS = 1000;
/** Repositories that are named of a digest. */
const MAX_REPOSITORIES = 5;

/** Digests asked for at a time. */
const PAGE = 1000;

/** Copies at once: each waits for the disk, which flushes several in the time of one. */
const AT_ONCE = 4;

const TELL_BYTES = 16 * 1024 * 1024;

/** Copies every blob that the records name, and that the target has not. Rejects with what the target's disk throws, and the signal's reason. */
export async function copyAll(options: CopyAllOptions): Promise<CopyProgress & { readonly list: readonly Problem[] }> {
  const copying = new Copying(options, await options.records.totals());
  await copying.run();
  return { ...copying.progress, list: copying.list };
}

class Copying {
  readonly #options: CopyAllOptions;
  readonly list: Problem[] = [];
  readonly #sums: { -readonly [K in keyof CopyProgress]: CopyProgress[K] };
  #untold = 0;

  constructor(options: CopyAllOptions, { digests, bytes }: { readonly digests: number; readonly bytes: number }) {
    this.#options = options;
    const none = { blobs: 0, bytes: 0, copiedBlobs: 0, copiedBytes: 0, problems: 0 };
    this.#sums = { totalBlobs: digests, totalBytes: bytes, ...none };
  }

  get progress(): CopyProgress {
    return { ...this.#sums };
  }

  async run(): Promise<void> {
    const blobs = everyDigest(this.#options.records);
    const failed = new AbortController();
    const worker = async (): Promise<void> => {
      try {
        for await (const blob of shared(blobs)) {
          this.#options.signal?.throwIfAborted();
          if (failed.signal.aborted) return;
          await this.#copy(blob);
        }
      } catch (error) {
        failed.abort();
        throw error;
      }
    };
    const results = await Promise.allSettled(Array.from({ length: AT_ONCE }, worker));
    for (const result of results) if (result.status === 'rejected') throw result.reason;
  }

  async #copy(blob: HostedBlob): Promise<void> {
    const { source, target, records, signal } = this.#options;
    let seen = 0;
    const onBytes = (count: number): void => {
      seen += count;
      this.#sums.bytes += count;
      this.#untold += count;
      if (this.#untold >= TELL_BYTES) this.#tell();
    };
    const outcome = await target.copyFrom(source, blob, { signal, onBytes });
    this.#sums.blobs += 1;
    // What was there already, and what is missing, has not been read.
    this.#sums.bytes += blob.size - seen;
    if (outcome === 'copied') {
      this.#sums.copiedBlobs += 1;
      this.#sums.copiedBytes += blob.size;
      crashPoint('backup.copied');
    } else if (outcome !== 'present') {
      this.#sums.problems += 1;
      const owners = await records.repositoriesOf(blob.digest, MAX_REPOSITORIES);
      const repositories = owners.map(({ registry, repository }) => `${registry}/${repository}`);
      if (this.list.length < MAX_PROBLEMS) this.list.push({ digest: blob.digest, repositories, why: outcome.why });
    }
    this.#tell();
  }

  #tell(): void {
    this.#untold = 0;
    this.#options.onProgress?.(this.progress);
  }
}

/** Every digest that the records name. */
async function* everyDigest(records: HostedStore): AsyncGenerator<HostedBlob, void> {
  for (let after: Digest | undefined; ; ) {
    const page = await records.listDigests({ after, limit: PAGE });
    yield* page;
    after = page.at(-1)?.digest;
    if (page.length < PAGE) return;
  }
}

/** The same generator for several loops: the end of one loop does not end it. */
function shared<T>(generator: AsyncGenerator<T, void>): AsyncIterable<T> {
  return { [Symbol.asyncIterator]: () => ({ next: () => generator.next() }) };
}
