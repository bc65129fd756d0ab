import { type FileHandle, open, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { backup, DatabaseSync, type SQLInputValue, type StatementSync } from 'node:sqlite';
import { flushDirectory } from '../directory/index.ts';
import { transact } from '../sqlite-migration.ts';
import type { Checkpoints } from './checkpoint.ts';
import { explain } from './explain.ts';
import type { LogFlush } from './log-flush.ts';
import type { Row } from './rows.ts';
import type { STATEMENTS } from './schema.ts';

export type Statements = { readonly [K in keyof typeof STATEMENTS]: StatementSync };

/** Pages of 4 KiB that a backup copies per step: about a millisecond. */
const BACKUP_PAGES = 256;

interface Parts {
  readonly file: string;
  readonly statements: Statements;
  /** Of the log; it is closed with the database. */
  readonly handle: FileHandle;
  readonly log: LogFlush;
  /** Undefined where commits do it. */
  readonly checkpoints: Checkpoints | undefined;
}

/**
 * The open file of the records: its rows, and changes that are durable.
 *
 * A change runs at once, in one transaction, and every operation after it sees it; its promise waits for the disk. No two overlap: the
 * event loop runs one at a time, and no other process has the file.
 */
export class HostedDatabase {
  readonly #database: DatabaseSync;
  readonly #parts: Parts;
  /** Whether the change that runs has changed a row. */
  #hasChanged = false;
  /** Backups that are being made. */
  readonly #copies = new Set<Promise<void>>();

  constructor(database: DatabaseSync, parts: Parts) {
    this.#database = database;
    this.#parts = parts;
  }

  row(statement: keyof Statements, ...values: SQLInputValue[]): Row | undefined {
    return this.#run(() => this.#parts.statements[statement].get(...values));
  }

  rows(statement: keyof Statements, ...values: SQLInputValue[]): readonly Row[] {
    return this.#run(() => this.#parts.statements[statement].all(...values));
  }

  has(statement: keyof Statements, ...values: SQLInputValue[]): boolean {
    return this.row(statement, ...values) !== undefined;
  }

  /** Adds, changes or deletes rows, within a change. Returns the number of an added one. */
  put(statement: keyof Statements, ...values: SQLInputValue[]): number {
    const { changes, lastInsertRowid } = this.#run(() => this.#parts.statements[statement].run(...values));
    if (changes > 0) this.#hasChanged = true;
    return Number(lastInsertRowid);
  }

  /**
   * Runs a change, and resolves when it, and what it saw of others, is on the disk.
   *
   * @throws {HostedStoreError} where the disk is full, where a flush fails, and after one that failed
   */
  async change<T>(work: () => T): Promise<T> {
    this.#parts.log.assertSound();
    const result = this.#apply(work);
    await this.#parts.log.settle();
    return result;
  }

  /** Runs a change that no answer waits for. `onLost` hears that it was not made, or that the disk did not take it. */
  changeUnawaited(work: () => void, onLost: (error: unknown) => void): void {
    try {
      this.#parts.log.assertSound();
      this.#apply(work);
      this.#parts.log.settle().catch(onLost);
    } catch (error) {
      onLost(error);
    }
  }

  /** Resolves when every change that was made is on the disk. */
  settle(): Promise<void> {
    return this.#parts.log.settle();
  }

  /** Copies the file in its state at the start of the copy, in small steps in a thread of the pool. */
  async backUp(target: string): Promise<void> {
    // SQLite would create it readable by all users.
    const handle = await open(target, 'wx', 0o600);
    const copying = this.#copyTo(target);
    this.#copies.add(copying);
    try {
      await copying;
      await handle.sync();
      await flushDirectory(dirname(target));
    } catch (error) {
      await rm(target, { force: true });
      throw explain(error, this.#parts.file);
    } finally {
      this.#copies.delete(copying);
      await handle.close();
    }
  }

  /**
   * Over a connection of its own: a copy over the one that writes fails when its first step meets a transaction. Its read transaction holds
   * the state, as a copy would begin again at each change of another connection.
   */
  async #copyTo(target: string): Promise<void> {
    // Where the disk was full at the start, no other connection can open the file: then the event loop waits.
    if (this.#parts.checkpoints === undefined) {
      this.#database.prepare('VACUUM INTO ?').run(target);
      return;
    }
    const source = new DatabaseSync(this.#parts.file, { readOnly: true });
    try {
      source.exec('BEGIN; SELECT 1 FROM totals');
      await backup(source, target, { rate: BACKUP_PAGES });
    } finally {
      source.close();
    }
  }

  async close(): Promise<void> {
    const { file, log, checkpoints, handle } = this.#parts;
    await Promise.allSettled(this.#copies);
    await checkpoints?.settle();
    await log.settle().catch(() => undefined);
    if (!this.#database.isOpen) return;
    if (log.hasFailed && checkpoints !== undefined) closeWithLog(this.#database, file);
    else this.#database.close();
    await handle.close();
  }

  #apply<T>(work: () => T): T {
    this.#hasChanged = false;
    const result = this.#run(() => transact(this.#database, work));
    if (this.#hasChanged) {
      this.#parts.log.noteChange();
      this.#parts.checkpoints?.noteChange();
    }
    return result;
  }

  #run<T>(work: () => T): T {
    try {
      return work();
    } catch (error) {
      throw explain(error, this.#parts.file);
    }
  }
}

/**
 * Closes a database and leaves its log. The last connection to close copies the log to the database, and one that the disk has refused must
 * not get there: it is read, with its checksums, at the next opening. A connection that only reads cannot copy it.
 */
function closeWithLog(database: DatabaseSync, file: string): void {
  let last: DatabaseSync;
  try {
    last = new DatabaseSync(file, { readOnly: true });
    last.exec('SELECT 1 FROM totals');
  } catch {
    // Then it stays open for as long as the process, whose end copies nothing.
    return;
  }
  database.close();
  last.close();
}
