import { constants } from 'node:fs';
import { copyFile, open, readdir, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { flushDirectory, hasCode } from '../directory/index.ts';
import { checkMetadata, copyCompacted } from './check.ts';
import { backupOf, draftOf, sizesOf } from './files.ts';
import type { SqliteMetadataStore } from './sqlite.ts';

/*
 *   <directory>/
 *   ├── names.db                          the database, with its -wal and -shm while a server runs
 *   ├── names.backup.db                   its latest sound copy
 *   └── names.db.corrupt-20260131T095500123Z   a damaged database, set aside; the latest two are kept
 */

/** Damaged databases kept for inspection. */
const SET_ASIDE_LIMIT = 2;

/** What follows `names.db.corrupt-`: a time, as {@link setMetadataAside} writes it. */
const ASIDE_SUFFIX = /^\d{8}T\d{9}Z(?:-wal)?$/;

/**
 * Replaces the backup by a copy of the database, which may be in use. A damaged database would give a damaged copy: then the
 * earlier backup is kept, and the promise resolves with the damage found.
 */
export async function backUpMetadata(store: SqliteMetadataStore, file: string): Promise<string | undefined> {
  return await replaceDatabase(backupOf(file), async (draft) => {
    await store.backUp(draft);
    return await checkMetadata(draft);
  });
}

/**
 * Restores the database from its backup. Without a sound backup, the database's file is left missing.
 *
 * Resolves with the time of the backup (milliseconds since the epoch), or else with the reason why it is unusable, if there is
 * a backup at all.
 */
export async function restoreMetadata(file: string): Promise<{ backupAt?: number; unusable?: string }> {
  const backup = backupOf(file);
  const stats = await stat(backup).catch(() => undefined);
  // SQLite would take an empty file for a database without tables.
  if (stats === undefined || stats.size === 0) return {};
  const found = await checkMetadata(backup);
  if (found !== undefined) return { unusable: found };
  await replaceDatabase(file, async (draft) => {
    await copyFile(backup, draft, constants.COPYFILE_FICLONE);
    return undefined;
  });
  return { backupAt: stats.mtimeMs };
}

/**
 * Rewrites the database of an older release, so that its file can shrink. It must be closed. Resolves with the reason where it
 * stays as it was: it is damaged, or so large that the rewrite takes longer than a stop may.
 */
export async function rewriteMetadata(file: string): Promise<string | undefined> {
  // The last one to close a database merges its log and removes it; the copy would lack what is left there.
  if ((await sizesOf(file)).log > 0) return 'another process uses it';
  return await replaceDatabase(file, async (draft) => {
    return (await copyCompacted(file, draft)) ?? (await checkMetadata(draft));
  });
}

/** Fills a draft and renames it into place, durably. It is discarded where `fill` resolves with damage, or rejects. */
async function replaceDatabase(
  file: string,
  fill: (draft: string) => Promise<string | undefined>,
): Promise<string | undefined> {
  const draft = draftOf(file);
  try {
    await createPrivate(draft);
    const damage = await fill(draft);
    if (damage !== undefined) return damage;
    await flushFile(draft);
    await rename(draft, file);
    await flushDirectory(dirname(file));
    return undefined;
  } finally {
    await rm(draft, { force: true });
  }
}

/**
 * Renames a damaged database, keeping it for inspection. Its log is renamed too: SQLite would apply it to the next database.
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
  const names = (await readdir(dirname(file))).filter(
    (name) => name.startsWith(prefix) && ASIDE_SUFFIX.test(name.slice(prefix.length)),
  );
  // The names sort by time.
  const databases = [...new Set(names.map((name) => name.replace(/-wal$/, '')))].sort();
  for (const name of databases.slice(0, -SET_ASIDE_LIMIT)) {
    for (const part of ['', '-wal']) await rm(join(dirname(file), `${name}${part}`), { force: true });
  }
}

/** Creates an empty file that only this user may read: SQLite and copyFile would create one readable by all users. */
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
