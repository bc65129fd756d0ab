import { access, constants, open, rename, rm, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { backup, DatabaseSync, type SQLInputValue, type SQLOutputValue, type StatementSync } from 'node:sqlite';
import { flushDirectory, hasCode } from '../directory/index.ts';
import { closeToOthers, giveToOwner, OWN_FILE_MODE } from '../own-file.ts';
import { isFullDisk, SQLITE, sqliteCode } from '../sqlite-error.ts';
import { migrate, transact } from '../sqlite-migration.ts';
import type { AccessStore, TokenRecord, TokenUse, UserRecord } from './access-store.ts';
import { AccessStoreError } from './error.ts';
import { MIGRATIONS, STATEMENTS } from './schema.ts';

/** Milliseconds that a statement waits for the lock of a reader (`entrepot config validate`, `sqlite3`). */
const BUSY_TIMEOUT = 500;

/** Pages that a copy takes in one step: all of them. */
const MAX_PAGES = 2 ** 31 - 1;

type Row = Record<string, SQLOutputValue>;
type Statements = { readonly [K in keyof typeof STATEMENTS]: StatementSync };

/**
 * Opens the file of users and tokens; undefined where it is missing and `create` is false. The caller owns the directory.
 *
 * @throws {AccessStoreError} where the file is damaged, empty, of a newer release or of another program, or cannot be created
 */
export async function openAccessStore(
  file: string,
  { create }: { readonly create: boolean },
): Promise<AccessStore | undefined> {
  const stats = await statOf(file);
  if (stats === undefined) {
    if (!create) return undefined;
    await createFile(file);
  } else {
    // SQLite would take an empty file for a new database, and so lose all users.
    if (stats.size === 0) throw new AccessStoreError(file, { found: 'it is empty' });
    // A copy that was put back may be readable by others.
    if ((stats.mode & 0o077) !== 0) await closeToOthers(file).catch(() => undefined);
  }
  return openFile(file);
}

/** What a command may know that does not own the directory. */
export interface AccessNames {
  readonly users: readonly UserRecord[];
  readonly tokens: readonly TokenRecord[];
}

/**
 * Reads the file beside a running server, and changes nothing. A missing file has no users.
 *
 * @throws {AccessStoreError} as {@link openAccessStore} does; `isOfReader` where the server may be able to read it
 */
export async function readAccessStore(file: string): Promise<AccessNames> {
  let database: DatabaseSync | undefined;
  try {
    const stats = await statOf(file);
    if (stats === undefined) return { users: [], tokens: [] };
    if (stats.size === 0) throw new AccessStoreError(file, { found: 'it is empty' });
    await access(file, constants.R_OK);
    database = new DatabaseSync(file, { readOnly: true, timeout: BUSY_TIMEOUT });
    refuseOtherVersion(database, file);
    checkPages(database, file);
    const store = new SqliteAccessStore(database, file, prepare(database));
    return { users: await store.listUsers(), tokens: await store.listTokens() };
  } catch (error) {
    throw explainToReader(error, file);
  } finally {
    database?.close();
  }
}

/**
 * Copies the file beside a running server, in one state of it, to a new file that only this user may read. It is checked, and flushed.
 *
 * @throws {AccessStoreError} as {@link readAccessStore} does; the system's error of the target
 */
export async function copyAccessStore(file: string, target: string): Promise<void> {
  const handle = await open(target, 'wx', OWN_FILE_MODE);
  try {
    let database: DatabaseSync | undefined;
    try {
      await access(file, constants.R_OK);
      database = new DatabaseSync(file, { readOnly: true, timeout: BUSY_TIMEOUT });
      checkPages(database, file);
      // All pages in one step: a file of users is small, and a change in between would begin the copy again.
      await backup(database, target, { rate: MAX_PAGES });
    } catch (error) {
      throw explainToReader(error, file);
    } finally {
      database?.close();
    }
    await handle.sync();
    await flushDirectory(dirname(target));
  } catch (error) {
    await rm(target, { force: true });
    throw error;
  } finally {
    await handle.close();
  }
}

/** A file of an earlier release is migrated by the server. */
function refuseOtherVersion(database: DatabaseSync, file: string): void {
  const found = Number(database.prepare('PRAGMA user_version').get()?.['user_version']);
  const known = MIGRATIONS.length;
  if (found === known) return;
  if (found > known) throw ofNewerRelease(file, { found, known });
  if (found <= 0) throw ofAnotherProgram(file);
  throw new AccessStoreError(file, {
    found: `it has version ${found}, and this release has ${known}`,
    remedy: 'Start the server, which changes it to the new version.',
    isOfReader: true,
  });
}

function explainToReader(error: unknown, file: string): unknown {
  if (error instanceof AccessStoreError) return error;
  if (hasCode(error, 'EACCES', 'EPERM')) {
    const remedy = 'Run the command as the user of the server.';
    return new AccessStoreError(file, { found: 'this user may not read it', remedy, isOfReader: true, cause: error });
  }
  if (sqliteCode(error) === SQLITE.READONLY) {
    const remedy = 'Start the server, which undoes it.';
    return new AccessStoreError(file, { found: 'a change was interrupted', remedy, isOfReader: true, cause: error });
  }
  return explain(error, file);
}

/** Made whole under another name: a crash never leaves an empty file. */
async function createFile(file: string): Promise<void> {
  const draft = `${file}.new`;
  for (const suffix of ['', '-journal']) await rm(`${draft}${suffix}`, { force: true });
  try {
    // SQLite would create it readable by all users. Its journal gets the mode and the owner of the file.
    const handle = await open(draft, 'wx', OWN_FILE_MODE);
    try {
      await giveToOwner(handle, dirname(file));
    } finally {
      await handle.close();
    }
    await openFile(draft).close();
    await rename(draft, file);
    await flushDirectory(dirname(file));
  } catch (error) {
    await rm(draft, { force: true }).catch(() => undefined);
    if (error instanceof AccessStoreError) throw error;
    if (isFullDisk(error)) throw onFullDisk(file, error);
    throw new AccessStoreError(file, {
      found: `it cannot be created (${(error as Error).message})`,
      remedy: 'Let the user of the server write to its directory.',
      cause: error,
    });
  }
}

async function statOf(file: string) {
  try {
    const stats = await stat(file);
    if (!stats.isFile()) throw new AccessStoreError(file, { found: 'it is not a file' });
    return stats;
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return undefined;
    if (error instanceof AccessStoreError) throw error;
    throw new AccessStoreError(file, {
      found: (error as Error).message,
      remedy: 'Let the user of the server read and write it.',
      cause: error,
    });
  }
}

function openFile(file: string): SqliteAccessStore {
  let database: DatabaseSync | undefined;
  try {
    database = new DatabaseSync(file, { timeout: BUSY_TIMEOUT });
    migrate(database, {
      migrations: MIGRATIONS,
      refuseNewer({ found, known }) {
        throw ofNewerRelease(file, { found, known });
      },
      refuseForeign() {
        throw ofAnotherProgram(file);
      },
    });
    // A rollback journal and no log: between two changes the one file is complete, so that a copy of it is too.
    // EXTRA: what was answered survives a power cut.
    database.exec('PRAGMA journal_mode = DELETE; PRAGMA synchronous = EXTRA; PRAGMA foreign_keys = ON');
    checkPages(database, file);
    return new SqliteAccessStore(database, file, prepare(database));
  } catch (error) {
    database?.close();
    throw explain(error, file);
  }
}

function checkPages(database: DatabaseSync, file: string): void {
  const found = String(database.prepare('PRAGMA quick_check(1)').get()?.['quick_check']);
  if (found !== 'ok') throw new AccessStoreError(file, { found: `it is damaged (${found.replaceAll('\n', ' ')})` });
}

function ofNewerRelease(file: string, { found, known }: { readonly found: number; readonly known: number }) {
  return new AccessStoreError(file, {
    found: `it has version ${found} and this release knows ${known}`,
    remedy: 'Run the release that wrote it or a later one.',
  });
}

function ofAnotherProgram(file: string): AccessStoreError {
  return new AccessStoreError(file, { found: 'it is the database of another program' });
}

/** An {@link AccessStore} in a file. Made by {@link openAccessStore}. */
class SqliteAccessStore implements AccessStore {
  readonly #database: DatabaseSync;
  readonly #file: string;
  readonly #statements: Statements;

  constructor(database: DatabaseSync, file: string, statements: Statements) {
    this.#database = database;
    this.#file = file;
    this.#statements = statements;
  }

  async listUsers(): Promise<readonly UserRecord[]> {
    return this.#run(() => this.#statements.listUsers.all()).map((row) => ({
      name: row['name'] as string,
      password: row['password'] as string,
      disabled: row['disabled'] === 1,
      createdAt: row['created_at'] as number,
      passwordAt: row['password_at'] as number,
    }));
  }

  async addUser({ name, password, disabled, createdAt, passwordAt }: UserRecord): Promise<boolean> {
    return this.#change('addUser', name, password, disabled ? 1 : 0, createdAt, passwordAt);
  }

  async setPassword(
    name: string,
    { password, at }: { readonly password: string; readonly at: number },
  ): Promise<boolean> {
    return this.#change('setPassword', name, password, at);
  }

  async setDisabled(name: string, disabled: boolean): Promise<boolean> {
    return this.#change('setDisabled', name, disabled ? 1 : 0);
  }

  async removeUser(name: string): Promise<boolean> {
    return this.#change('removeUser', name);
  }

  async listTokens(): Promise<readonly TokenRecord[]> {
    return this.#run(() => this.#statements.listTokens.all()).map((row) => ({
      name: row['name'] as string,
      hash: row['hash'] as string,
      owner: (row['owner'] as string | null) ?? undefined,
      may: this.#list(row, 'may'),
      on: this.#list(row, 'patterns'),
      createdAt: row['created_at'] as number,
      expiresAt: (row['expires_at'] as number | null) ?? undefined,
      usedAt: (row['used_at'] as number | null) ?? undefined,
    }));
  }

  async addToken(token: TokenRecord): Promise<'added' | 'taken' | 'no owner'> {
    const { name, hash, owner, may, on, createdAt, expiresAt, usedAt } = token;
    return this.#run(() =>
      transact(this.#database, () => {
        const { hasToken, hasUser, addToken } = this.#statements;
        if (hasToken.get(name, hash) !== undefined) return 'taken';
        if (owner !== undefined && hasUser.get(owner) === undefined) return 'no owner';
        const scopes = [JSON.stringify(may), JSON.stringify(on)];
        addToken.run(name, hash, owner ?? null, ...scopes, createdAt, expiresAt ?? null, usedAt ?? null);
        return 'added';
      }),
    );
  }

  async removeToken(name: string): Promise<boolean> {
    return this.#change('removeToken', name);
  }

  async noteUses(uses: readonly TokenUse[]): Promise<void> {
    if (uses.length === 0) return;
    this.#run(() =>
      transact(this.#database, () => {
        for (const { name, at } of uses) this.#statements.noteUse.run(name, at);
      }),
    );
  }

  async close(): Promise<void> {
    if (this.#database.isOpen) this.#database.close();
  }

  /** True where a row was added, changed or deleted. */
  #change(statement: keyof Statements, ...values: SQLInputValue[]): boolean {
    return this.#run(() => this.#statements[statement].run(...values).changes > 0);
  }

  #run<T>(work: () => T): T {
    try {
      return work();
    } catch (error) {
      throw explain(error, this.#file);
    }
  }

  #list(row: Row, column: string): readonly string[] {
    try {
      const list: unknown = JSON.parse(String(row[column]));
      if (Array.isArray(list) && list.every((each) => typeof each === 'string')) return list;
    } catch {
      // Reported below.
    }
    // Without its narrowing, a token would do more than it may.
    throw new AccessStoreError(this.#file, { found: `the scopes of the token ${String(row['name'])} are malformed` });
  }
}

/** Prepares each statement once. It also finds missing tables and columns. */
function prepare(database: DatabaseSync): Statements {
  const entries = Object.entries(STATEMENTS).map(([name, sql]) => [name, database.prepare(sql)]);
  return Object.fromEntries(entries) as Statements;
}

/** Another directory is no remedy: the users and tokens are in this one. */
function onFullDisk(file: string, cause: unknown): AccessStoreError {
  return new AccessStoreError(file, { found: 'its disk is full', remedy: 'Make room on it.', cause });
}

function explain(error: unknown, file: string): unknown {
  if (isFullDisk(error)) return onFullDisk(file, error);
  switch (sqliteCode(error)) {
    case SQLITE.NOTADB:
      return new AccessStoreError(file, { found: 'it is not a database', cause: error });
    case SQLITE.CORRUPT:
      return new AccessStoreError(file, { found: 'it is damaged', cause: error });
    case SQLITE.ERROR:
      return new AccessStoreError(file, { found: 'one of its tables is missing', cause: error });
    case SQLITE.BUSY:
      return new AccessStoreError(file, {
        found: 'another process holds its lock',
        remedy: 'End that process (`sqlite3`?), and repeat the command.',
        isOfReader: true,
        cause: error,
      });
    case SQLITE.READONLY:
      return new AccessStoreError(file, {
        found: 'it cannot be written, or was moved or removed while it was open',
        remedy:
          'Stop the server, put the file back (from your backup, if it is gone), see that the user of the server may write it and its directory, and start the server.',
        cause: error,
      });
    case SQLITE.IOERR:
    case SQLITE.CANTOPEN:
      return new AccessStoreError(file, {
        found: `it cannot be read or written (${(error as Error).message})`,
        remedy: 'See that the user of the server may write it and its directory, and that the disk is sound.',
        cause: error,
      });
    default:
      return error;
  }
}
