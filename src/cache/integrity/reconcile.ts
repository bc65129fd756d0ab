import { setTimeout as pause } from 'node:timers/promises';
import type { Digest } from '../../oci/index.ts';
import type { BlobRecord, BlobStore, MetadataStore } from '../../store/index.ts';
import type { Telemetry } from '../../telemetry/index.ts';
import { isCurrent } from '../time-span.ts';
import { adoptBlob, forgetWithoutFile } from './removal.ts';

interface ReconcileOptions {
  readonly store: BlobStore;
  readonly metadata: MetadataStore;
  readonly telemetry: Telemetry;
  readonly signal: AbortSignal;
}

/** The differences that were removed. */
interface Reconciliation {
  /** Files that had no row and have one now. */
  readonly adopted: number;
  /** Rows that had no file and were deleted. */
  readonly missing: number;
}

/** Rows read at a time: about a millisecond, after which the event loop turns. */
const PAGE = 256;

/** Files adopted at the same time: an adoption waits for the disk most of its time. */
const ADOPTIONS = 16;

/** Rests this many times as long as it worked: requests come first. */
const REST = 4;

/** Milliseconds of work after which it rests, and the longest rest. */
const WORK = 5;
const LONGEST_REST = 100;

/** Milliseconds after which rows and files are reconciled in any case: operators move files. */
const DUE_AFTER = 7 * 24 * 3600 * 1000;

/** Whether rows and files should be reconciled. @param reconciledAt when they last agreed; undefined: that is not known */
export function isReconciliationDue(reconciledAt: number | undefined, now: number): boolean {
  return reconciledAt === undefined || !isCurrent({ since: reconciledAt, until: reconciledAt + DUE_AFTER }, now);
}

/**
 * Makes the rows agree with the files, by their names alone: after a crash between the two, or after the loss of the
 * database. Files without a row would not be counted and never be evicted.
 *
 * Both are read in the order of the digests and merged, so that only files without a row are opened: a million blobs take a
 * few seconds of work, spread over half a minute. An adopted file counts as unverified and is hashed at its first read.
 * Rejects with the signal's reason, and where the disk or the database fails.
 */
export async function reconcile(options: ReconcileOptions): Promise<Reconciliation> {
  const { store, signal, telemetry } = options;
  const rows = new RowCursor(options.metadata);
  const throttle = new Throttle(signal);
  let adopted = 0;
  let missing = 0;
  for await (const digests of store.listDigests()) {
    const withoutRow: Digest[] = [];
    for (const digest of digests) {
      for (;;) {
        const row = rows.current ?? (await rows.read(throttle));
        if (row === undefined || row.digest > digest) {
          withoutRow.push(digest);
          break;
        }
        rows.take();
        if (row.digest === digest) break;
        if (await forgetWithoutFile(row.digest, options)) missing += 1;
      }
    }
    for (let first = 0; first < withoutRow.length; first += ADOPTIONS) {
      const some = withoutRow.slice(first, first + ADOPTIONS);
      const results = await Promise.all(some.map((digest) => adopt(digest, options)));
      adopted += results.filter((isAdopted) => isAdopted).length;
      await throttle.rest();
    }
    await throttle.rest();
  }
  for (let row = rows.current ?? (await rows.read(throttle)); row !== undefined; row = await rows.read(throttle)) {
    rows.take();
    if (await forgetWithoutFile(row.digest, options)) missing += 1;
  }
  if (adopted > 0 || missing > 0) telemetry.publish('cache.counted', { adopted, missing });
  return { adopted, missing };
}

/** Writes the row of a file; false where it has one by now, or the file was removed. */
async function adopt(digest: Digest, { store, metadata }: ReconcileOptions): Promise<boolean> {
  const size = await store.stat(digest);
  if (size === undefined || (await metadata.getBlob(digest)) !== undefined) return false;
  return adoptBlob(digest, { size, at: Date.now() }, { store, metadata });
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

  /** Undefined at the end of the page. */
  get current(): BlobRecord | undefined {
    return this.#page[this.#next];
  }

  take(): void {
    this.#next += 1;
  }

  /** The current row, or the first one of the next page; undefined at the end. */
  async read(throttle: Throttle): Promise<BlobRecord | undefined> {
    if (this.current === undefined && !this.#isLast) {
      await throttle.rest();
      const page = await this.#metadata.listBlobs({ after: this.#page.at(-1)?.digest, limit: PAGE });
      this.#isLast = page.length < PAGE;
      this.#page = page;
      this.#next = 0;
    }
    return this.current;
  }
}

/** Limits background work to a fifth of the time. */
class Throttle {
  readonly #signal: AbortSignal;
  #began = performance.now();

  constructor(signal: AbortSignal) {
    this.#signal = signal;
  }

  /** Call it every millisecond or so. Rejects with the signal's reason. */
  async rest(): Promise<void> {
    this.#signal.throwIfAborted();
    const worked = performance.now() - this.#began;
    if (worked < WORK) return;
    await pause(Math.min(worked * REST, LONGEST_REST), undefined, { signal: this.#signal }).catch(() => {});
    this.#signal.throwIfAborted();
    this.#began = performance.now();
  }
}
