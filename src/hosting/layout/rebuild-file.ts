import { rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { flushDirectory, type HostedStore, loadHostedStore, openHostedBlobStore } from '../../store/index.ts';
import { isThere, listLayouts } from './layout-files.ts';
import { type RebuildOptions, type RebuildReport, rebuildRecords } from './rebuild.ts';

/** The file of the records, in the directory of hosted content. */
const FILE = 'hosted.db';

/** What SQLite has beside a file. */
const BESIDE = ['-wal', '-shm', '-journal'] as const;

export interface FileRebuildOptions extends Pick<RebuildOptions, 'onProgress' | 'signal' | 'now'> {
  /** Of hosted content. The caller owns the cache directory around it. */
  readonly directory: string;
  /** Told of files of other programs. */
  readonly onUnknown?: ((message: string) => void) | undefined;
}

export interface FileRebuildReport extends RebuildReport {
  /** Where the file that was there before is now; undefined where there was none. */
  readonly damaged: string | undefined;
}

/** The records cannot be rebuilt; the message gives the reason and the remedy. */
export class RebuildError extends Error {
  override readonly name = 'RebuildError';
}

/**
 * Makes the file of the records again from the layouts beside it, see {@link rebuildRecords}: all of it, or nothing. It is missing, empty of
 * records or damaged; a damaged one is moved aside, and is never deleted.
 *
 * @throws {RebuildError} where there are records, or no layouts
 * @throws {HostedStoreError} where the file cannot be used and is not damaged: of a newer release, on a full disk
 * @throws {DirectoryError} and the signal's reason
 */
export async function rebuildRecordsFile(options: FileRebuildOptions): Promise<FileRebuildReport> {
  const { directory, onUnknown } = options;
  const file = join(directory, FILE);
  await requireLost(file);
  if (!(await listLayouts(directory)).some(({ isLayout }) => isLayout)) {
    throw new RebuildError(
      `Cannot rebuild ${file}: there are no layouts of repositories in ${directory}. ` +
        'Nothing was pushed there, or its file system makes no hard links. Put a copy from your backup in its place.',
    );
  }
  const store = await openHostedBlobStore(directory, onUnknown && { onUnknown });
  const draft = `${file}.rebuild`;
  await removeDatabase(draft);
  try {
    const report = await fill(draft, (records) => rebuildRecords({ ...options, records, store }));
    const damaged = await moveAside(file);
    await rename(draft, file);
    await flushDirectory(directory);
    return { ...report, damaged };
  } catch (error) {
    await removeDatabase(draft);
    throw error;
  }
}

/** @throws {RebuildError} where there are records that can be read */
async function requireLost(file: string): Promise<void> {
  if (!(await isThere(file))) return;
  const { HostedStoreError, openHostedStore, REBUILD_REMEDY } = await loadHostedStore();
  let repositories: number;
  try {
    const records = await openHostedStore(file);
    try {
      ({ repositories } = await records.totals());
    } finally {
      await records.close();
    }
  } catch (error) {
    if (error instanceof HostedStoreError && error.remedy === REBUILD_REMEDY) return;
    throw error;
  }
  if (repositories === 0) return;
  throw new RebuildError(
    `Cannot rebuild ${file}: it has the records of ${repositories} repositories, and can be read. ` +
      'Move it elsewhere first if they are to be replaced by what the layouts say.',
  );
}

async function fill<T>(draft: string, work: (records: HostedStore) => Promise<T>): Promise<T> {
  const { openHostedStore } = await loadHostedStore();
  const records = await openHostedStore(draft, { isRebuild: true });
  let result: T;
  try {
    result = await work(records);
  } finally {
    await records.close();
  }
  // A log that is left would be lost with the rename.
  if (await isThere(`${draft}-wal`)) throw new Error(`${draft}-wal is still there`);
  return result;
}

/**
 * Under the name that its directory knows a damaged file by, with its log and its journal: they belong to it, and SQLite would apply them to
 * the new file. They may be there though the file is lost.
 */
async function moveAside(file: string): Promise<string | undefined> {
  const aside = `${file}.corrupt-${new Date().toISOString().replaceAll(/[-:.]/g, '')}`;
  let isMoved = false;
  for (const suffix of ['-wal', '-journal', '']) {
    if (!(await isThere(`${file}${suffix}`))) continue;
    await rename(`${file}${suffix}`, `${aside}${suffix}`);
    isMoved = true;
  }
  // The index of the log, which SQLite makes of it.
  await rm(`${file}-shm`, { force: true });
  return isMoved ? aside : undefined;
}

async function removeDatabase(file: string): Promise<void> {
  for (const suffix of ['', ...BESIDE]) await rm(`${file}${suffix}`, { force: true });
}
