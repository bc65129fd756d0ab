import { readFile, rename, rm, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { SQLITE, sqliteCode } from '../sqlite-error.ts';
import { createDirectory } from './directories.ts';
import { DirectoryError, DirectoryInUseError, type DirectoryOwner } from './error.ts';

/** The right to use a cache directory, until `release` or the end of the process, however it ends. */
export interface DirectoryLock {
  readonly directory: string;
  readonly owner: DirectoryOwner;
  /** Lets the next process in. Idempotent. */
  release(): Promise<void>;
}

/**
 * The locks of this process. A database that nothing refers to is closed by the garbage collector, and its lock is
 * gone; so the locks are referred to from here, whatever the caller does with its own.
 */
const held = new Set<DatabaseSync>();

/**
 * Makes this process the only owner of a cache directory, creating it (mode 0700) where there is none.
 *
 * Throws {@link DirectoryInUseError} where another process owns it, and {@link DirectoryError} where it cannot be used.
 */
export async function lockDirectory(directory: string): Promise<DirectoryLock> {
  await createDirectory(directory);
  const note = join(directory, 'owner.json');
  const database = await lockFile(directory, note);
  held.add(database);
  const owner: DirectoryOwner = { pid: process.pid, host: hostname(), startedAt: Date.now() };
  // Only for the message that the next one gets. A full disk is no reason not to serve what is on it.
  await writeNote(note, owner).catch(() => undefined);
  return {
    directory,
    owner,
    async release() {
      if (!held.delete(database)) return;
      await rm(note, { force: true }).catch(() => undefined);
      database.close();
    },
  };
}

/*
 * The lock is that of a small SQLite file of its own. What is wanted is a lock that the kernel lets go when its process
 * dies, by SIGKILL too: a file with a pid in it has to be guessed about after a crash, since pids are used again and
 * mean nothing outside their container. Node has no call for flock or fcntl, and SQLite makes the right one on every
 * platform. It is not the names database, since that is to be read, and replaced by a backup, while the lock is held.
 *
 * Nothing else in this process may open the file `lock`: POSIX drops a process's locks on a file as soon as the process
 * closes any descriptor of it. SQLite knows that of its own; so a second lockDirectory in one process is safe, and
 * refused as well.
 */
async function lockFile(directory: string, note: string): Promise<DatabaseSync> {
  let database: DatabaseSync | undefined;
  try {
    database = new DatabaseSync(join(directory, 'lock'), { timeout: 0 });
    database.exec('PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE');
    return database;
  } catch (error) {
    database?.close();
    const code = sqliteCode(error);
    if (code === SQLITE.BUSY) throw new DirectoryInUseError(directory, await readNote(note));
    const foreign = code === SQLITE.NOTADB || code === SQLITE.CORRUPT;
    const found = foreign
      ? 'its file "lock" is not ours. Remove that file.'
      : `its file "lock" cannot be locked (${error instanceof Error ? error.message : String(error)})`;
    throw new DirectoryError(directory, new Error(found, { cause: error }));
  }
}

async function writeNote(note: string, owner: DirectoryOwner): Promise<void> {
  const draft = `${note}.new`;
  await writeFile(draft, `${JSON.stringify(owner)}\n`, { mode: 0o600 });
  await rename(draft, note);
}

/** Undefined where there is no note, or it is that of a process which has died since. */
async function readNote(note: string): Promise<DirectoryOwner | undefined> {
  try {
    const owner: unknown = JSON.parse(await readFile(note, 'utf8'));
    if (typeof owner !== 'object' || owner === null) return undefined;
    const { pid, host, startedAt } = owner as Record<string, unknown>;
    if (typeof pid !== 'number' || typeof host !== 'string' || typeof startedAt !== 'number') return undefined;
    return host === hostname() && !isAlive(pid) ? undefined : { pid, host, startedAt };
  } catch {
    return undefined;
  }
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    // EPERM: it lives, and belongs to somebody else.
    return error instanceof Error && 'code' in error && error.code === 'EPERM';
  }
}
