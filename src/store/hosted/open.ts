import { type FileHandle, open, readdir, realpath, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { DatabaseSync, type StatementSync } from 'node:sqlite';
import { flushDirectory, hasCode } from '../directory/index.ts';
import { closeToOthers, giveToOwner, OWN_FILE_MODE } from '../own-file.ts';
import { isFullDisk } from '../sqlite-error.ts';
import { migrate } from '../sqlite-migration.ts';
import { Checkpoints } from './checkpoint.ts';
import { HostedDatabase, type Statements } from './database.ts';
import { HostedStoreError } from './error.ts';
import { explain, onFullDisk } from './explain.ts';
import type { HostedStore } from './hosted-store.ts';
import { type Flush, LogFlush } from './log-flush.ts';
import { MIGRATIONS, STATEMENTS } from './schema.ts';
import { SqliteHostedStore } from './sqlite.ts';

/**
 * Milliseconds that a statement waits for the lock of another process, while the event loop is blocked. This process owns the file, so
 * only an operator's own `sqlite3` can hold one.
 */
const BUSY_TIMEOUT = 500;

/** Pages of 4 KiB up to which a file is checked when it is opened: a few milliseconds. */
const CHECKED_PAGES = 1024;

/** The layouts of the repositories, beside the file. */
const LAYOUTS = 'repositories';

/** The name of the file, where it is in use. */
export const RECORDS = 'hosted.db';

/** While it is beside the file, a backup is being restored. */
export const RESTORING = 'restoring.json';

export interface OpenHostedStoreOptions {
  /** Hears of what goes wrong beside the operations, as a sentence with its remedy. @default nothing */
  readonly onWarning?: ((message: string) => void) | undefined;
  /** True: the records are made again, so a missing file is a new one though there are layouts beside it. @default false */
  readonly isRebuild?: boolean | undefined;
  /** True: all of it is read and checked, whatever its size, as for what comes from a backup. @default a small file is */
  readonly checkAll?: boolean | undefined;
  /** For tests. @default fdatasync(2) */
  readonly flush?: Flush | undefined;
}

/**
 * Opens the records of hosted repositories, and creates them where nothing was hosted before. The caller owns the directory. The cost
 * does not grow with the size of the file.
 *
 * A change that was answered survives a power cut. A change that rejects has changed nothing, with one exception: where the disk fails
 * to write what it was given, it may be there after a restart, whole. Then the store reads, and refuses every further change until it is
 * opened again.
 *
 * @throws {HostedStoreError} where the file is damaged, empty, of a newer release or of another program, where it is missing beside
 *   layouts of repositories, and where its disk is full. Any operation may reject with it later: opening does not read every page.
 */
export async function openHostedStore(file: string, options: OpenHostedStoreOptions = {}): Promise<HostedStore> {
  const stats = await statOf(file);
  if (stats === undefined) {
    await refuseRestoring(file);
    if (options.isRebuild !== true) await refuseLost(file);
    await createFile(file);
  } else {
    // The records are there, so the restore has come to its end.
    if (basename(file) === RECORDS) await rm(join(dirname(file), RESTORING), { force: true }).catch(() => undefined);
    // SQLite would take an empty file for a new database, and so lose all records.
    if (stats.size === 0) throw new HostedStoreError(file, { found: 'it is empty' });
    // A copy that was put back may be readable by others.
    if ((stats.mode & 0o077) !== 0) await closeToOthers(file).catch(() => undefined);
  }
  try {
    return await openFile(file, 'NORMAL', options);
  } catch (error) {
    if (!isFullDisk(error)) throw error;
    return openFile(file, 'EXCLUSIVE', options);
  }
}

/** Records that are lost would look like a server that hosts nothing, whose files the collection then takes. */
async function refuseLost(file: string): Promise<void> {
  try {
    const layouts = await readdir(join(dirname(file), LAYOUTS));
    if (layouts.length > 0) {
      throw new HostedStoreError(file, { found: `it is missing, and ${LAYOUTS}/ beside it is not empty` });
    }
  } catch (error) {
    if (!hasCode(error, 'ENOENT')) throw error;
  }
}

/** Empty records would take the place of those that are to come. */
async function refuseRestoring(file: string): Promise<void> {
  const note = join(dirname(file), RESTORING);
  if (basename(file) !== RECORDS || (await statOf(note)) === undefined) return;
  throw new HostedStoreError(file, {
    found: `it is missing, and a restore was interrupted (${RESTORING})`,
    remedy: `Run \`entrepot restore\` with the same backup again: it goes on where it was. To begin without what was pushed, remove ${note}.`,
  });
}

/** Made whole under another name: a crash never leaves an empty file. */
async function createFile(file: string): Promise<void> {
  const draft = `${file}.new`;
  for (const suffix of ['', '-journal', '-wal', '-shm']) await rm(`${draft}${suffix}`, { force: true });
  try {
    // SQLite would create it readable by all users. The files beside it get its mode and its owner.
    const handle = await open(draft, 'wx', OWN_FILE_MODE);
    try {
      await giveToOwner(handle, dirname(file));
    } finally {
      await handle.close();
    }
    createTables(draft, file);
    await rename(draft, file);
    await flushDirectory(dirname(file));
  } catch (error) {
    await rm(draft, { force: true }).catch(() => undefined);
    if (error instanceof HostedStoreError) throw error;
    if (isFullDisk(error)) throw onFullDisk(file, error);
    throw new HostedStoreError(file, {
      found: `it cannot be created (${(error as Error).message})`,
      remedy: 'Let the user of the server write to its directory.',
      cause: error,
    });
  }
}

/** With a rollback journal, whose commit flushes the file. */
function createTables(draft: string, file: string): void {
  const database = new DatabaseSync(draft, { timeout: BUSY_TIMEOUT });
  try {
    database.exec('PRAGMA synchronous = FULL');
    migrateRecords(database, file);
  } finally {
    database.close();
  }
}

async function statOf(file: string) {
  try {
    const stats = await stat(file);
    if (!stats.isFile()) throw new HostedStoreError(file, { found: 'it is not a file' });
    return stats;
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return undefined;
    if (error instanceof HostedStoreError) throw error;
    throw new HostedStoreError(file, {
      found: (error as Error).message,
      remedy: 'Let the user of the server read and write it.',
      cause: error,
    });
  }
}

/**
 * @param locking `EXCLUSIVE` keeps the index of the log in memory instead of a file of 32 KiB, so that the records can be read on a
 *   disk without a free byte. No other connection can open the file then, so no thread copies its log.
 */
async function openFile(
  file: string,
  locking: 'NORMAL' | 'EXCLUSIVE',
  { onWarning = () => {}, flush, checkAll = false }: OpenHostedStoreOptions,
): Promise<SqliteHostedStore> {
  let database: DatabaseSync | undefined;
  let log: FileHandle | undefined;
  try {
    database = new DatabaseSync(file, { timeout: BUSY_TIMEOUT });
    // Before the first access, which would make that file.
    database.exec(`PRAGMA locking_mode = ${locking}`);
    // Then: it refuses the databases of other programs, and the next statements would change them.
    migrateRecords(database, file);
    writeAhead(database, file);
    database.exec(`
      PRAGMA synchronous = NORMAL;          -- a commit flushes nothing; see log-flush.ts
      PRAGMA wal_autocheckpoint = ${locking === 'NORMAL' ? 0 : 1000}; -- pages; else see checkpoint.ts
      PRAGMA journal_size_limit = 16777216; -- bytes; a log that grew shrinks again
      PRAGMA cache_size = -16384;           -- KiB; the kernel caches the rest
    `);
    emptyLog(database);
    checkPages(database, file, checkAll ? Number.POSITIVE_INFINITY : CHECKED_PAGES);
    const statements = prepare(database);
    if (statements.totals.get() === undefined) throw new HostedStoreError(file, { found: 'its totals are missing' });
    // Where the file is a link, SQLite has the log beside what it leads to.
    const place = await realpath(file);
    log = await open(`${place}-wal`, 'r+');
    await log.datasync();
    await flushDirectory(dirname(place));
    const opened = new HostedDatabase(database, {
      file,
      statements,
      handle: log,
      log: new LogFlush(log, { file, flush }),
      checkpoints: locking === 'NORMAL' ? new Checkpoints(database, { file, onWarning }) : undefined,
    });
    return new SqliteHostedStore(opened, { file, onWarning });
  } catch (error) {
    database?.close();
    await log?.close();
    throw explain(error, file);
  }
}

function writeAhead(database: DatabaseSync, file: string): void {
  const { journal_mode: mode } = database.prepare('PRAGMA journal_mode = WAL').get() ?? {};
  if (mode === 'wal') return;
  throw new HostedStoreError(file, {
    found: 'its file system cannot share memory between the files of a database',
    remedy: 'Put the cache directory on a local disk.',
  });
}

/**
 * Copies the log to the database, and flushes both. What a process before this one left in the log is in the page cache, but the disk may
 * have refused it, and would not say so again. New frames behind such ones were lost with them in a power cut; the pages in the database
 * are written as new.
 */
function emptyLog(database: DatabaseSync): void {
  try {
    database.prepare('PRAGMA wal_checkpoint(TRUNCATE)').get();
  } catch (error) {
    // The log is read all the same.
    if (!isFullDisk(error)) throw error;
  }
}

/** Of a large file, the damage is found by the operation that meets it: its pages take seconds to read. */
function checkPages(database: DatabaseSync, file: string, limit: number): void {
  const { page_count: pages } = database.prepare('PRAGMA page_count').get() ?? {};
  if (Number(pages) > limit) return;
  const found = String(database.prepare('PRAGMA quick_check(1)').get()?.['quick_check']);
  if (found !== 'ok') throw new HostedStoreError(file, { found: `it is damaged (${found.replaceAll('\n', ' ')})` });
}

/** Prepares each statement once: parsing costs more than running. It also finds missing tables and columns. */
function prepare(database: DatabaseSync): Statements {
  const entries = Object.entries(STATEMENTS).map(([name, sql]) => [name, database.prepare(sql)]);
  return Object.fromEntries(entries) as Record<string, StatementSync> as Statements;
}

function migrateRecords(database: DatabaseSync, file: string): void {
  migrate(database, {
    migrations: MIGRATIONS,
    refuseNewer({ found, known }) {
      throw new HostedStoreError(file, {
        found: `it has version ${found} and this release knows ${known}`,
        remedy: 'Run the release that wrote it or a later one.',
      });
    },
    refuseForeign() {
      throw new HostedStoreError(file, { found: 'it is the database of another program' });
    },
  });
}
