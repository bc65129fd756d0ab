import { setImmediate as turn } from 'node:timers/promises';
import type { Digest } from '../oci/index.ts';
import type { BlobRecord, BlobStore, NameStore } from '../store/index.ts';
import type { Telemetry } from '../telemetry/index.ts';

export interface StockOptions {
  readonly store: BlobStore;
  readonly names: NameStore;
  readonly telemetry: Telemetry;
  readonly signal: AbortSignal;
}

/** What did not agree. */
export interface Stock {
  /** Files that had no row and have one now. */
  readonly adopted: number;
  /** Rows that had no file and are gone. */
  readonly missing: number;
}

/** Files or rows that are looked at in one go, before everyone else has a turn. */
const BATCH = 32;

/** Rows read at a time. */
const PAGE = 256;

/**
 * Makes the rows agree with the files, by their sizes alone: what a crash left between the two, or all of it where the names
 * were lost. Without it nobody would count such files, and nobody evict them.
 *
 * Nothing is believed for it: an adopted file is hashed at its first read. Rejects with the signal's reason, and where disk
 * or database fail.
 */
export async function takeStock(options: StockOptions): Promise<Stock> {
  const adopted = await adoptFiles(options);
  const missing = await forgetMissing(options);
  if (adopted > 0 || missing > 0) options.telemetry.publish('cache.counted', { adopted, missing });
  return { adopted, missing };
}

async function adoptFiles({ store, names, signal }: StockOptions): Promise<number> {
  let adopted = 0;
  let looked = 0;
  for await (const { digest, size } of store.list()) {
    looked += 1;
    if (looked % BATCH === 0) await turn();
    signal.throwIfAborted();
    if ((await names.getBlob(digest)) !== undefined) continue;
    // Whoever evicts takes the row first, and the file next.
    if ((await store.stat(digest)) !== size) continue;
    await names.putBlob({ digest, size, kind: 'mirrored', storedAt: Date.now() });
    adopted += 1;
  }
  return adopted;
}

async function forgetMissing({ store, names, signal }: StockOptions): Promise<number> {
  let missing = 0;
  for await (const row of rowsOf(names)) {
    signal.throwIfAborted();
    if ((await store.stat(row.digest)) !== undefined) continue;
    // It may have been stored anew meanwhile.
    if ((await names.getBlob(row.digest))?.storedAt !== row.storedAt) continue;
    await names.deleteBlob(row.digest);
    missing += 1;
  }
  return missing;
}

/** Every row, page by page, with a turn for everyone else in between. */
export async function* rowsOf(names: NameStore): AsyncGenerator<BlobRecord> {
  let after: Digest | undefined;
  for (;;) {
    const page = await names.listBlobs({ after, limit: PAGE });
    yield* page;
    after = page.at(-1)?.digest;
    if (page.length < PAGE) return;
    await turn();
  }
}
