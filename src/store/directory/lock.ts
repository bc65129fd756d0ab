import { readFile, rm } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { SQLITE, sqliteCode } from '../sqlite-error.ts';
import { replaceJson } from './directories.ts';
import { DirectoryError, DirectoryInUseError, type DirectoryOwner, fullDisk } from './error.ts';
import { claimDirectory } from './marker.ts';
import { hasCode } from './system-error.ts';

/** The exclusive use of a cache directory, until `release` or the end of the process, however it ends. */
interface DirectoryLock {
  readonly directory: string;
  readonly owner: DirectoryOwner;
  /** Unlocks the directory for the next process. Idempotent. */
  release(): Promise<void>;
}

/**
 * The locks of this process. The garbage collector closes a database without references, which would release its lock; so
 * they are referenced here, whatever the caller does with its own reference.
 */
const held = new Set<DatabaseSync>();

/**
 * Makes this process the owner of a cache directory.
 *
 * Throws {@link DirectoryInUseError} where another process owns it, and {@link DirectoryError} where it is unusable or no
 * cache, see {@link claimDirectory}.
 *
 * @param options `create`: begin a cache (mode 0700) where the directory is absent or empty. @default true
 */
export async function lockDirectory(
  directory: string,
  { create = true }: { readonly create?: boolean } = {},
): Promise<DirectoryLock> {
  await claimDirectory(directory, { create });
  return lockOther(directory);
}

/**
 * Makes this process the owner of a directory that is no cache, such as a backup. The caller has seen to it that the directory is one
 * that this program may write to.
 *
 * @throws {DirectoryInUseError} {DirectoryError} whose messages speak of a cache directory
 */
export async function lockOther(directory: string): Promise<DirectoryLock> {
  const note = join(directory, 'owner.json');
  const database = await lockFile(directory, note);
  held.add(database);
  const owner: DirectoryOwner = { pid: process.pid, host: hostname(), startedAt: Date.now() };
  // The note is only for another process' error message: a full disk, which prevents it, must not prevent serving.
  await replaceJson(note, owner).catch(() => undefined);
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
 * The lock is that of a small SQLite file. The kernel must release it when the process dies, even by SIGKILL. A file with a
 * pid would not do: pids are reused, and mean nothing outside their container. Node has no call for flock or fcntl, and SQLite
 * makes the right one on every platform. It is not the metadata database, which is read, and replaced by a backup, while the
 * lock is held.
 *
 * Nothing else in this process may open the file `lock`: POSIX drops a process' locks on a file as soon as the process closes
 * any of its descriptors. SQLite takes care of its own descriptors, so a second lockDirectory in one process is safe, and is
 * refused too.
 */
async function lockFile(directory: string, note: string): Promise<DatabaseSync> {
  let database: DatabaseSync | undefined;
  try {
    database = new DatabaseSync(join(directory, 'lock'), { timeout: 0 });
    database.exec('PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE');
    return database;
  } catch (error) {
    database?.close();
    const code = sqliteCode(error);
    if (code === SQLITE.BUSY) throw new DirectoryInUseError(directory, await readNote(note));
    if (code === SQLITE.FULL) throw new DirectoryError(directory, fullDisk(error));
    const foreign = code === SQLITE.NOTADB || code === SQLITE.CORRUPT;
    const found = foreign
      ? 'its file "lock" belongs to another program. Remove that file.'
      : `its file "lock" cannot be locked (${error instanceof Error ? error.message : String(error)})`;
    throw new DirectoryError(directory, new Error(found, { cause: error }));
  }
}

/** The owner's note; undefined where there is none, or its process has died since. */
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
    // EPERM: it is alive, and belongs to another user.
    return hasCode(error, 'EPERM');
  }
}
