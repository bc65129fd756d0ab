import { setTimeout as pause, setImmediate as turn } from 'node:timers/promises';
import type { Digest } from '../../oci/index.ts';
import type { BlobRecord, BlobStore, MetadataStore } from '../../store/index.ts';
import type { Telemetry } from '../../telemetry/index.ts';
import { adoptBlob } from './removal.ts';

export interface StockOptions {
  readonly store: BlobStore;
  readonly metadata: MetadataStore;
  readonly telemetry: Telemetry;
  readonly signal: AbortSignal;
}

/** What did not agree. */
export interface Reconciliation {
  /** Files that had no row and have one now. */
  readonly adopted: number;
  /** Rows that had no file and are gone. */
  readonly missing: number;
}

/** Rows read at a time: about a millisecond, after which everyone else has a turn. */
const PAGE = 256;

/** Rests this many times as long as it worked: it may take a while, and nobody is to notice. */
const REST = 4;

/** Milliseconds of work after which it rests, and the longest rest. */
const WORK = 5;
const LONGEST_REST = 100;

/** Milliseconds after which one looks again, whatever is known: people move files. */
const LOOK_AGAIN = 7 * 24 * 3600 * 1000;

/** Whether rows and files are to be compared, which were last found to agree at a time; undefined: nobody knows. */
export function isReconciliationDue(reconciledAt: number | undefined, now: number): boolean {
  // A time that lies ahead is that of a clock which has been set back since.
  return reconciledAt === undefined || reconciledAt > now || now - reconciledAt > LOOK_AGAIN;
}

/**
 * Makes the rows agree with the files, by their names alone: what a crash left between the two, or all of it where the names
 * were lost. Without it nobody would count such files, and nobody evict them.
 *
 * Both are read in the order of the digests and laid side by side, so that no file is looked at but those that have no row:
 * a million blobs take a few seconds of work, spread over half a minute. Nothing is believed for it: an adopted file is hashed
 * at its first read. Rejects with the signal's reason, and where disk or database fail.
 */
export async function reconcile(options: StockOptions): Promise<Reconciliation> {
  const { store, signal, telemetry } = options;
  const rows = new RowCursor(options.metadata);
  const pace = new Throttle(signal);
  let adopted = 0;
  let missing = 0;
  for await (const digests of store.listDigests()) {
    for (const digest of digests) {
      for (;;) {
        const row = rows.current ?? (await rows.read(pace));
        if (row === undefined || row.digest > digest) {
          if (await adopt(digest, options)) adopted += 1;
          await pace.keep();
          break;
        }
        rows.take();
        if (row.digest === digest) break;
        if (await forget(row, options)) missing += 1;
      }
    }
    await pace.keep();
  }
  for (let row = rows.current ?? (await rows.read(pace)); row !== undefined; row = await rows.read(pace)) {
    rows.take();
    if (await forget(row, options)) missing += 1;
  }
  if (adopted > 0 || missing > 0) telemetry.publish('cache.counted', { adopted, missing });
  return { adopted, missing };
}

/** Gives a file that had no row its row; false where it has one by now, or is gone. */
async function adopt(digest: Digest, { store, metadata }: StockOptions): Promise<boolean> {
  const size = await store.stat(digest);
  if (size === undefined || (await metadata.getBlob(digest)) !== undefined) return false;
  return adoptBlob(digest, { size, at: Date.now() }, { store, metadata });
}

/** Forgets a row that had no file; false where it has one by now. */
async function forget(row: BlobRecord, { store, metadata }: StockOptions): Promise<boolean> {
  if ((await store.stat(row.digest)) !== undefined) return false;
  // It may have been stored anew meanwhile.
  if ((await metadata.getBlob(row.digest))?.storedAt !== row.storedAt) return false;
  await metadata.deleteBlob(row.digest);
  return true;
}

/** Every row in the order of the digests, a page in memory at a time. */
class RowCursor {
  readonly #metadata: MetadataStore;
  #page: readonly BlobRecord[] = [];
  #next = 0;
  #isLast = false;

  constructor(metadata: MetadataStore) {
    this.#metadata = metadata;
  }

  /** Undefined where the page is used up. */
  get current(): BlobRecord | undefined {
    return this.#page[this.#next];
  }

  take(): void {
    this.#next += 1;
  }

  /** The first of the next page, or the current one where there is one; undefined at the end. */
  async read(pace: Throttle): Promise<BlobRecord | undefined> {
    if (this.current === undefined && !this.#isLast) {
      await pace.keep();
      const page = await this.#metadata.listBlobs({ after: this.#page.at(-1)?.digest, limit: PAGE });
      this.#isLast = page.length < PAGE;
      this.#page = page;
      this.#next = 0;
    }
    return this.current;
  }
}

/** Lets work that nobody waits for take a fifth of the time at most. */
class Throttle {
  readonly #signal: AbortSignal;
  #began = performance.now();

  constructor(signal: AbortSignal) {
    this.#signal = signal;
  }

  /** To be called every millisecond or so. Rejects with the signal's reason. */
  async keep(): Promise<void> {
    this.#signal.throwIfAborted();
    const worked = performance.now() - this.#began;
    if (worked < WORK) return;
    await rest(Math.min(worked * REST, LONGEST_REST), this.#signal);
    this.#began = performance.now();
  }
}

async function rest(milliseconds: number, signal: AbortSignal): Promise<void> {
  await pause(milliseconds, undefined, { signal }).catch(() => {});
  signal.throwIfAborted();
}

/** Every row, page by page, with a turn for everyone else in between. */
export async function* rowsOf(metadata: MetadataStore): AsyncGenerator<BlobRecord> {
  let after: Digest | undefined;
  for (;;) {
    const page = await metadata.listBlobs({ after, limit: PAGE });
    yield* page;
    after = page.at(-1)?.digest;
    if (page.length < PAGE) return;
    await turn();
  }
}
