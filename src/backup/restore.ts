import { mkdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { crashPoint } from '../lib/index.ts';
import {
  flushDirectory,
  hasCode,
  loadAccessStore,
  loadHostedStore,
  openHostedBlobStore,
  readHostedBlobs,
} from '../store/index.ts';
import { type CopyProgress, copyAll, NOTHING_COPIED, type Problem } from './copy.ts';
import { BackupError, explainDisk } from './error.ts';
import { ACCESS, copyKeys, copyWhole, HOSTED, isFile, namesIn, publish, removeDatabase, writeWhole } from './files.ts';
import { type Contents, readPlace } from './place.ts';

export interface RestoreOptions {
  /** Of the backup. Nothing is written there. */
  readonly directory: string;
  /** This process owns it. */
  readonly cacheDir: string;
  /** True: what is right is restored, though a part of the backup is damaged. @default then nothing is */
  readonly partial?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((progress: CopyProgress) => void) | undefined;
}

export interface RestoreReport extends CopyProgress {
  /** When the backup was finished; milliseconds since 1970. */
  readonly finishedAt: number;
  /** Repositories that were pushed to; undefined where the backup has nothing hosted. */
  readonly repositories: number | undefined;
  readonly access: boolean;
  readonly keys: readonly string[];
  /** False: a part of the backup is damaged, and nothing was put in place. */
  readonly restored: boolean;
  /** The first thousand of what is damaged. */
  readonly list: readonly Problem[];
}

type HostedPart = Omit<RestoreReport, 'finishedAt' | 'access' | 'keys' | 'restored'>;

const NOTHING: HostedPart = {
  ...NOTHING_COPIED,
  list: [],
  repositories: undefined,
};

/**
 * Puts what a backup has into a cache directory that has nothing of the kind. Each blob is hashed as it is copied. Users and records come
 * last: where a restore is interrupted, the directory has no records yet, a server does not host there, and the next restore goes on.
 *
 * @throws {BackupError} where the directory is no finished backup, or the cache has content of its own; {HostedStoreError}
 * {AccessStoreError} where a database of the backup is damaged; the signal's reason
 */
export async function restore(options: RestoreOptions): Promise<RestoreReport> {
  const { directory, cacheDir } = options;
  const contents = await readPlace(directory);
  const { finishedAt } = contents;
  const hosted = join(cacheDir, HOSTED);
  const { RECORDS, RESTORING } = await loadHostedStore();
  const note = join(hosted, RESTORING);
  const isContinued = await isOf(note, finishedAt);
  if (isContinued && contents.hosted && (await isFile(join(hosted, RECORDS)))) return endOf(options, contents);
  await refuseContent({ cacheDir, isContinued, hosted: contents.hosted, access: contents.access });
  try {
    await mkdir(hosted, { recursive: true, mode: 0o700 });
    await writeWhole(note, `${JSON.stringify({ finishedAt })}\n`);
    await flushDirectory(cacheDir);
    crashPoint('restore.begun');
    const records = join(hosted, `${RECORDS}.restored`);
    const access = join(cacheDir, `${ACCESS}.restored`);
    await Promise.all([records, access].map(removeDatabase));
    // The small files first: where they are damaged, nothing needs to be copied.
    if (contents.access) await draftAccess(join(directory, ACCESS), access);
    const report = contents.hosted ? await restoreBlobs(records, options) : NOTHING;
    if (report.problems > 0 && options.partial !== true) {
      await Promise.all([records, access].map(removeDatabase));
      return { ...report, finishedAt, access: contents.access, keys: [], restored: false };
    }
    const keys = await copyKeys(directory, cacheDir, { keep: true });
    crashPoint('restore.before-access');
    // What an earlier restore has put there may have changed since.
    if (contents.access && (await isFile(join(cacheDir, ACCESS)))) await removeDatabase(access);
    else if (contents.access) await publish(access, join(cacheDir, ACCESS));
    crashPoint('restore.before-records');
    if (contents.hosted) await publish(records, join(hosted, RECORDS));
    crashPoint('restore.published');
    await rm(note, { force: true });
    await flushDirectory(hosted);
    return { ...report, finishedAt, access: contents.access, keys, restored: true };
  } catch (error) {
    throw explainDisk(error, { directory: cacheDir, again: 'run `entrepot restore` again' });
  }
}

/** Whether the note is that of an interrupted restore of this backup. */
async function isOf(note: string, finishedAt: number): Promise<boolean> {
  if (!(await isFile(note))) return false;
  try {
    const value: unknown = JSON.parse(await readFile(note, 'utf8'));
    return typeof value === 'object' && value !== null && 'finishedAt' in value && value.finishedAt === finishedAt;
  } catch {
    return false;
  }
}

/** The earlier restore had put everything in place, and not said so: nothing is done again, since a server may have changed it. */
async function endOf({ cacheDir }: RestoreOptions, { finishedAt, access }: Contents): Promise<RestoreReport> {
  const { openHostedStore, RECORDS } = await loadHostedStore();
  // It also removes the note.
  const records = await openHostedStore(join(cacheDir, HOSTED, RECORDS));
  try {
    const { repositories, digests, bytes } = await records.totals();
    const all = { totalBlobs: digests, totalBytes: bytes, blobs: digests, bytes };
    return { ...NOTHING, ...all, repositories, finishedAt, access, keys: [], restored: true };
  } finally {
    await records.close();
  }
}

/** @throws {BackupError} where something would be lost, or mixed with something else */
async function refuseContent({
  cacheDir,
  isContinued,
  hosted,
  access,
}: {
  readonly cacheDir: string;
  /** An earlier restore was interrupted. */
  readonly isContinued: boolean;
  readonly hosted: boolean;
  readonly access: boolean;
}): Promise<void> {
  const { RECORDS } = await loadHostedStore();
  const found = async (path: string, what: string): Promise<void> => {
    throw new BackupError(
      `${cacheDir} has ${what} (${path}), and a restore never replaces any. Restore into another directory with --cache-dir, or move ${join(cacheDir, path)} elsewhere first.`,
    );
  };
  const records = join(HOSTED, RECORDS);
  if (hosted && !isContinued) {
    if (await isFile(join(cacheDir, records))) await found(HOSTED, 'hosted repositories');
    const layouts = join(HOSTED, 'repositories');
    if ((await namesIn(join(cacheDir, layouts))).length > 0) {
      throw new BackupError(
        `${cacheDir} has hosted repositories whose records are lost, and their layouts (${layouts}) may be newer than the backup. Run \`entrepot hosted rebuild\`, or move ${join(cacheDir, HOSTED)} elsewhere and restore.`,
      );
    }
  }
  if (access && !isContinued && (await isFile(join(cacheDir, ACCESS)))) await found(ACCESS, 'stored users and tokens');
}

/** A copy that is checked, in a file of another name. */
async function draftAccess(source: string, draft: string): Promise<void> {
  const { openAccessStore } = await loadAccessStore();
  await copyDatabase(source, draft);
  const store = await openAccessStore(draft, { create: false });
  await store?.close();
}

async function restoreBlobs(draft: string, options: RestoreOptions): Promise<HostedPart> {
  const { directory, cacheDir, signal, onProgress } = options;
  const { HostedStoreError, openHostedStore, RECORDS } = await loadHostedStore();
  const source = join(directory, HOSTED);
  await copyDatabase(join(source, RECORDS), draft);
  const records = await openHostedStore(draft, { checkAll: true }).catch((error: unknown) => {
    if (!(error instanceof HostedStoreError)) throw error;
    throw new BackupError(
      `The records in the backup (${join(source, RECORDS)}) cannot be used: ${error.found}. Restore another backup.`,
      { cause: error },
    );
  });
  try {
    const { repositories } = await records.totals();
    const target = await openHostedBlobStore(join(cacheDir, HOSTED));
    const blobs = await readHostedBlobs(source);
    return { repositories, ...(await copyAll({ source: blobs, target, records, signal, onProgress })) };
  } finally {
    await records.close();
  }
}

async function copyDatabase(source: string, draft: string): Promise<void> {
  try {
    await copyWhole(source, draft);
  } catch (error) {
    if (!hasCode(error, 'ENOENT', 'ELOOP')) throw error;
    throw new BackupError(`The backup is not whole: ${source} is missing. Restore another backup.`, { cause: error });
  }
}
