import type { DatabaseSync } from 'node:sqlite';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { SQLITE, sqliteCode } from '../sqlite-error.ts';

/*
 * How the file of a database shrinks. SQLite uses the pages of deleted rows again, and gives them back to the file system only
 * in a database with `auto_vacuum = INCREMENTAL`, by `PRAGMA incremental_vacuum`. Source: https://www.sqlite.org/pragma.html
 *
 * The setting takes effect in an empty database, or when VACUUM rewrites the file. So an older database is rewritten at its
 * opening where it is small, and otherwise when it is closed (`rewriteMetadata`).
 */

/** The value of `PRAGMA auto_vacuum` that stands for INCREMENTAL. */
const INCREMENTAL = 2;

/** Free pages of 4 KiB that are kept for the next rows: 1 MiB. */
const RESERVE = 256;

/** Pages given back at a time: about a millisecond, after which the event loop turns. */
const PIECE = 64;

/** Pages in use up to which an older database is rewritten when it is opened: 8 MiB, some 50 ms. */
const SMALL = 2048;

type Pragma = 'auto_vacuum' | 'page_count' | 'freelist_count' | 'page_size';

function pragma(database: DatabaseSync, name: Pragma): number {
  return Number(database.prepare(`PRAGMA ${name}`).get()?.[name]);
}

/** Bytes of the pages that hold something. */
export function usedBytes(database: DatabaseSync): number {
  return (pragma(database, 'page_count') - pragma(database, 'freelist_count')) * pragma(database, 'page_size');
}

/** Whether the file can shrink. */
export function isShrinkable(database: DatabaseSync): boolean {
  return pragma(database, 'auto_vacuum') === INCREMENTAL;
}

/**
 * Makes an empty database one whose file can shrink, and which has a write-ahead log. To be called before its first table is
 * created.
 *
 * Nothing is flushed, which saves a start some ten waits for the disk: all that a power cut could damage is an empty database,
 * and a damaged one is replaced. Its first checkpoint flushes these pages with the others.
 */
export function beginDatabase(database: DatabaseSync): void {
  database.exec(`
    PRAGMA synchronous = OFF;
    PRAGMA auto_vacuum = INCREMENTAL;
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = NORMAL;
  `);
}

/**
 * Rewrites the database of an older release, so that its file can shrink, unless that would take long.
 *
 * Where the disk has no room for the copy, the database stays as it is. Throws where it is damaged.
 */
export function rewriteSmall(database: DatabaseSync): void {
  if (isShrinkable(database)) return;
  if (pragma(database, 'page_count') - pragma(database, 'freelist_count') > SMALL) return;
  try {
    database.exec('PRAGMA auto_vacuum = INCREMENTAL; VACUUM; PRAGMA wal_checkpoint(TRUNCATE)');
  } catch (error) {
    const code = sqliteCode(error);
    if (code === SQLITE.CORRUPT || code === SQLITE.NOTADB) throw error;
  }
}

/** Gives free pages back to the file system, in pieces, where there are more than the reserve. */
export async function giveBackPages(database: DatabaseSync): Promise<void> {
  let free = pragma(database, 'freelist_count');
  if (free <= RESERVE || !isShrinkable(database)) return;
  for (let before = Number.POSITIVE_INFINITY; free > 0 && free < before; ) {
    database.exec(`PRAGMA incremental_vacuum(${PIECE})`);
    before = free;
    await nextTurn();
    // It was closed meanwhile.
    if (!database.isOpen) return;
    free = pragma(database, 'freelist_count');
  }
  // The file is cut at a checkpoint, and the log after it.
  database.exec('PRAGMA wal_checkpoint(TRUNCATE)');
}
