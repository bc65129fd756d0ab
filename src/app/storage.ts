import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Config } from '../config/index.ts';
import {
  type BlobStore,
  lockDirectory,
  MemoryMetadataStore,
  type MetadataStore,
  noteCleanStop,
  openFilesystemBlobStore,
  openRecoveringMetadataStore,
  openSpoolBlobStore,
  removeSpool,
  takeCleanStop,
} from '../store/index.ts';
import type { Telemetry } from '../telemetry/index.ts';

/** What one server of a cache directory leaves to the next. */
export interface Ledger {
  /** When the last reconciliation found that rows and files agree; undefined where they may not. */
  reconciledAt: number | undefined;
}

/** Where blobs and metadata are kept. */
export interface Storage {
  readonly store: BlobStore;
  readonly metadata: MetadataStore;
  readonly ledger: Ledger;
}

interface StorageContext {
  readonly telemetry: Telemetry;
  /** Takes what closes the storage again. */
  readonly cleanups: (() => unknown)[];
}

/** Opens the cache directory as its only owner; with `cache: off`, a temporary directory for bodies in transit. */
export async function openStorage(config: Config, { telemetry, cleanups }: StorageContext): Promise<Storage> {
  const ledger: Ledger = { reconciledAt: undefined };
  if (config.cache === 'off') {
    const spool = await mkdtemp(join(tmpdir(), 'entrepot-'));
    cleanups.push(() => removeSpool(spool));
    return { store: await openSpoolBlobStore(spool), metadata: new MemoryMetadataStore(), ledger };
  }
  const { dir } = config.cache;
  const lock = await lockDirectory(dir);
  cleanups.push(() => lock.release());
  const left = await takeCleanStop(dir);
  ledger.reconciledAt = left?.reconciledAt;
  cleanups.push(() => ledger.reconciledAt !== undefined && noteCleanStop(dir, { reconciledAt: ledger.reconciledAt }));
  const stopListening = telemetry.on('names.recovered', () => {
    ledger.reconciledAt = undefined;
  });
  const metadata = await openRecoveringMetadataStore({ file: join(dir, 'names.db'), telemetry }).finally(stopListening);
  cleanups.push(() => metadata.close());
  // After the database, which a newer release may have written: then nothing else is touched.
  const store = await openFilesystemBlobStore(dir, {
    onUnknown: (message) => telemetry.publish('warning', { message }),
  });
  return { store, metadata, ledger };
}
