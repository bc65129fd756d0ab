import { constants } from 'node:fs';
import { copyFile, open, readdir, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { flushDirectory, hasCode } from '../directory/index.ts';
import { checkMetadata } from './check.ts';
import type { SqliteMetadataStore } from './sqlite.ts';

/*
 *   <directory>/
 *   ├── names.db                          the database, with its -wal and -shm while a server runs
 *   ├── names.backup.db                   the latest copy of it that was found sound
 *   └── names.db.corrupt-20260131T095500123Z   set aside, as it was damaged; the latest two are kept
 */

/** Damaged databases that are kept for whoever looks into them. */
const SET_ASIDE_LIMIT = 2;

/** Where the backup of a names database lies. */
export function backupOf(file: string): string {
  return `${file.replace(/\.db$/, '')}.backup.db`;
}

/**
 * Copies the database into its backup while it is used, and resolves with what is wrong with it where it is not sound: then
 * the earlier backup stays, as a copy copies damage too.
 */
export async function backUpMetadata(names: SqliteMetadataStore, file: string): Promise<string | undefined> {
  const backup = backupOf(file);
  const draft = `${backup}.new`;
  try {
    await createPrivate(draft);
    await names.backUp(draft);
    const found = await checkMetadata(draft);
    if (found !== undefined) return found;
    await flushFile(draft);
    await rename(draft, backup);
    await flushDirectory(dirname(backup));
    return undefined;
  } finally {
    await rm(draft, { force: true });
  }
}

/** What {@link restoreMetadata} took. */
export interface Restored {
  /** When the backup was made; milliseconds since the epoch. Undefined where there was none of use. */
  readonly backupAt: number | undefined;
  /** Why the backup that is there is of no use. */
  readonly unusable?: string;
}

/** Puts the backup where the database was. Nothing is there afterwards if there is no sound one. */
export async function restoreMetadata(file: string): Promise<Restored> {
  const backup = backupOf(file);
  const stats = await stat(backup).catch(() => undefined);
  // SQLite takes an empty file for a database without tables.
  if (stats === undefined || stats.size === 0) return { backupAt: undefined };
  const found = await checkMetadata(backup);
  if (found !== undefined) return { backupAt: undefined, unusable: found };
  const draft = `${file}.new`;
  try {
    await createPrivate(draft);
    await copyFile(backup, draft, constants.COPYFILE_FICLONE);
    await flushFile(draft);
    await rename(draft, file);
    await flushDirectory(dirname(file));
    return { backupAt: stats.mtimeMs };
  } finally {
    await rm(draft, { force: true });
  }
}

/**
 * Takes what is left of a database out of the way, keeping it for whoever looks into it. Its log goes along: played into
 * another database it would do harm.
 */
export async function setMetadataAside(file: string, now: number): Promise<void> {
  const aside = `${file}.corrupt-${new Date(now).toISOString().replaceAll(/[-:.]/g, '')}`;
  await rm(`${file}-shm`, { force: true });
  for (const part of ['-wal', '']) {
    try {
      await rename(`${file}${part}`, `${aside}${part}`);
    } catch (error) {
      if (!hasCode(error, 'ENOENT')) throw error;
    }
  }
  await prune(file);
}

async function prune(file: string): Promise<void> {
  const prefix = `${basename(file)}.corrupt-`;
  const names = (await readdir(dirname(file))).filter((name) => name.startsWith(prefix));
  // The time is written so that the order of the names is that of the times.
  const databases = [...new Set(names.map((name) => name.replace(/-wal$/, '')))].sort();
  for (const name of databases.slice(0, -SET_ASIDE_LIMIT)) {
    for (const part of ['', '-wal']) await rm(join(dirname(file), `${name}${part}`), { force: true });
  }
}

/** SQLite, and a copy, would create it readable by all. */
async function createPrivate(file: string): Promise<void> {
  await rm(file, { force: true });
  const handle = await open(file, 'wx', 0o600);
  await handle.close();
}

async function flushFile(file: string): Promise<void> {
  const handle = await open(file, 'r+');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
