import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Config } from '../config/index.ts';
import {
  type BlobStore,
  lockDirectory,
  MemoryNameStore,
  type NameStore,
  noteCleanStop,
  openFilesystemBlobStore,
  openResilientNameStore,
  openSpoolBlobStore,
  takeCleanStop,
} from '../store/index.ts';
import type { Telemetry } from '../telemetry/index.ts';

/** What is handed from one server of a cache directory to the next. */
export interface Ledger {
  /** When rows and files were last found to agree; undefined where nobody knows that they do. */
  countedAt: number | undefined;
}

/** Where bytes and names rest. */
export interface Storage {
  readonly store: BlobStore;
  readonly names: NameStore;
  readonly ledger: Ledger;
}

/** Opens the cache directory as its only owner, or a place for what only passes through. */
export async function openStorage(config: Config, telemetry: Telemetry, cleanups: (() => unknown)[]): Promise<Storage> {
  const ledger: Ledger = { countedAt: undefined };
  if (config.cache === 'off') {
    const spool = await mkdtemp(join(tmpdir(), 'entrepot-'));
    cleanups.push(() => rm(spool, { recursive: true, force: true }));
    return { store: await openSpoolBlobStore(spool), names: new MemoryNameStore(), ledger };
  }
  const { dir } = config.cache;
  const lock = await lockDirectory(dir);
  cleanups.push(() => lock.release());
  const left = await takeCleanStop(dir);
  ledger.countedAt = left?.countedAt;
  cleanups.push(() => ledger.countedAt !== undefined && noteCleanStop(dir, { countedAt: ledger.countedAt }));
  const store = await openFilesystemBlobStore(dir);
  const stopListening = telemetry.on('names.recovered', () => {
    ledger.countedAt = undefined;
  });
  const names = await openResilientNameStore({ file: join(dir, 'names.db'), telemetry }).finally(stopListening);
  cleanups.push(() => names.close());
  return { store, names, ledger };
}
