import { open, rename, rm } from 'node:fs/promises';
import { DatabaseSync, type StatementSync } from 'node:sqlite';
import { hasCode } from './directory/index.ts';
import { SQLITE, sqliteCode } from './sqlite-error.ts';

/** Milliseconds a statement waits for the lock of an operator's own `sqlite3`. */
const BUSY_TIMEOUT = 500;

/** An open database with its prepared statements. */
export interface OpenedDatabase<Name extends string> {
  readonly database: DatabaseSync;
  readonly statements: { readonly [K in Name]: StatementSync };
}

export interface ReplaceableOptions<Name extends string> {
  /** Of the tables. A database of another version is set aside. */
  readonly version: number;
  /** Creates the tables. */
  readonly schema: string;
  readonly statements: { readonly [K in Name]: string };
  /** Called where the database was damaged, and an empty one has taken its place. */
  readonly onDamage: (error: Error) => void;
  /** Called with each database once it is open. */
  readonly onOpen?: (opened: OpenedDatabase<Name>) => void;
}

/**
 * A database that may be lost: nothing is served from it. One that is damaged, or of another release, is set aside under its
 * name with `.corrupt`, where the latest one is kept; an empty one takes its place, now or whenever the damage is found.
 *
 * A power cut may undo the last minutes.
 */
export class ReplaceableDatabase<Name extends string> {
  readonly #file: string;
  readonly #options: ReplaceableOptions<Name>;
  #opened: OpenedDatabase<Name>;
  #replacing: Promise<void> | undefined;

  private constructor(file: string, opened: OpenedDatabase<Name>, options: ReplaceableOptions<Name>) {
    this.#file = file;
    this.#options = options;
    this.#opened = opened;
  }

  /** Creates the file if it is missing. */
  static async open<Name extends string>(
    file: string,
    options: ReplaceableOptions<Name>,
  ): Promise<ReplaceableDatabase<Name>> {
    return new ReplaceableDatabase(file, await openOrReplace(file, options), options);
  }

  /** Where the work finds damage, it is done once more in an empty database. */
  async use<T>(work: (opened: OpenedDatabase<Name>) => T): Promise<T> {
    while (this.#replacing !== undefined) await this.#replacing;
    const opened = this.#opened;
    try {
      return work(opened);
    } catch (error) {
      if (!isDamage(error) || !opened.database.isOpen) throw error;
      if (this.#opened === opened)
        this.#replacing ??= this.#replace(error).finally(() => (this.#replacing = undefined));
      await this.#replacing;
      return work(this.#opened);
    }
  }

  async close(): Promise<void> {
    await this.#replacing;
    const { database } = this.#opened;
    if (database.isOpen) database.close();
  }

  async #replace(error: Error): Promise<void> {
    this.#opened.database.close();
    await setAside(this.#file);
    this.#opened = await openFile(this.#file, this.#options);
    this.#options.onDamage(error);
  }
}

interface BegunOptions<Name extends string> extends Omit<ReplaceableOptions<Name>, 'onOpen'> {
  /** Milliseconds since the epoch. */
  readonly now: () => number;
}

/**
 * Opens a database that knows when it was begun: `begun` of its statements reads that, and `begin` writes it.
 *
 * @returns also when the one in use was begun, in milliseconds since the epoch
 */
export async function openBegunDatabase<Name extends string>(
  file: string,
  { now, ...options }: BegunOptions<Name | 'begun' | 'begin'>,
): Promise<{ database: ReplaceableDatabase<Name | 'begun' | 'begin'>; begun: { readonly at: number } }> {
  const begun = { at: 0 };
  const database = await ReplaceableDatabase.open(file, {
    ...options,
    onOpen({ statements }) {
      const found = statements.begun.get()?.['at'] as number | undefined;
      begun.at = found ?? now();
      if (found === undefined) statements.begin.run(begun.at);
    },
  });
  return { database, begun };
}

/** Does the work in one transaction. */
export function transact<Name extends string, T>(
  opened: OpenedDatabase<Name>,
  work: (opened: OpenedDatabase<Name>) => T,
): T {
  const { database } = opened;
  database.exec('BEGIN IMMEDIATE');
  try {
    const result = work(opened);
    database.exec('COMMIT');
    return result;
  } catch (error) {
    // SQLite has rolled back already where the disk is full.
    if (database.isTransaction) database.exec('ROLLBACK');
    throw error;
  }
}

async function openOrReplace<Name extends string>(
  file: string,
  options: ReplaceableOptions<Name>,
): Promise<OpenedDatabase<Name>> {
  try {
    return await openFile(file, options);
  } catch (error) {
    if (!isDamage(error)) throw error;
    await setAside(file);
    options.onDamage(error);
    return await openFile(file, options);
  }
}

async function openFile<Name extends string>(
  file: string,
  options: ReplaceableOptions<Name>,
): Promise<OpenedDatabase<Name>> {
  // SQLite would create it readable by all users. Its other files (-wal, -shm) get the mode of this one.
  const created = await open(file, 'a', 0o600);
  await created.close();
  const database = new DatabaseSync(file, { timeout: BUSY_TIMEOUT });
  try {
    prepareTables(database, options);
    const statements = Object.fromEntries(
      Object.entries<string>(options.statements).map(([name, sql]) => [name, database.prepare(sql)]),
    ) as OpenedDatabase<Name>['statements'];
    database.exec(`
      PRAGMA journal_mode = WAL;
      PRAGMA synchronous = NORMAL;         -- fsync at a checkpoint only
      PRAGMA wal_autocheckpoint = 1000;    -- pages
      PRAGMA journal_size_limit = 4194304; -- bytes
      PRAGMA cache_size = -1024;           -- KiB
    `);
    const opened = { database, statements };
    options.onOpen?.(opened);
    return opened;
  } catch (error) {
    database.close();
    throw error;
  }
}

/** First: the database of another program must not be changed. */
function prepareTables(
  database: DatabaseSync,
  { version: wanted, schema }: Pick<ReplaceableOptions<string>, 'version' | 'schema'>,
): void {
  const version = database.prepare('PRAGMA user_version').get()?.['user_version'];
  const tables = database.prepare('SELECT count(*) AS tables FROM sqlite_schema').get()?.['tables'];
  if (version === wanted) return;
  if (version !== 0 || tables !== 0) throw new UnknownDatabaseError();
  database.exec(`BEGIN; PRAGMA auto_vacuum = NONE; ${schema} PRAGMA user_version = ${wanted}; COMMIT`);
}

/** A database of another program or release. */
class UnknownDatabaseError extends Error {
  override readonly name = 'UnknownDatabaseError';

  constructor() {
    super('it is of another release or program');
  }
}

/** `ERROR`: the tables are others than those of its version. */
function isDamage(error: unknown): error is Error {
  if (error instanceof UnknownDatabaseError) return true;
  const code = sqliteCode(error);
  return code === SQLITE.CORRUPT || code === SQLITE.NOTADB || code === SQLITE.ERROR;
}

async function setAside(file: string): Promise<void> {
  // SQLite would apply the log to the next database.
  for (const suffix of ['-wal', '-shm', '-journal']) await rm(`${file}${suffix}`, { force: true });
  try {
    await rename(file, `${file}.corrupt`);
  } catch (error) {
    if (!hasCode(error, 'ENOENT')) throw error;
  }
}
