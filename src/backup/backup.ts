import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { crashPoint } from '../lib/index.ts';
import {
  type HostedStore,
  type LinkableBlobStore,
  loadAccessStore,
  loadHostedStore,
  openHostedBlobStore,
  readHostedBlobs,
} from '../store/index.ts';
import { type CopyProgress, copyAll, NOTHING_COPIED, type Problem } from './copy.ts';
import { BackupError, explainDisk } from './error.ts';
import { ACCESS, copyKeys, HOSTED, isFile, publish, removeDatabase } from './files.ts';
import { type BackupPlace, claimPlace } from './place.ts';
import type { CopyRecords } from './records.ts';

export interface BackUpOptions {
  readonly cacheDir: string;
  /** Of the backup: one that was made before, an empty one, or one that does not exist. */
  readonly directory: string;
  /** From before it until the end of the backup, no file that the records name is deleted: the caller sees to it. */
  readonly copyRecords: CopyRecords;
  /** Rejects where files may have been deleted meanwhile: then the earlier state of the backup stays. @default none were */
  readonly confirm?: (() => Promise<void>) | undefined;
  /** True: what the backup has and the records no longer name is removed. @default it stays */
  readonly prune?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((progress: CopyProgress) => void) | undefined;
  /** Milliseconds since 1970. @default the clock */
  readonly now?: (() => number) | undefined;
}

export interface BackupReport extends CopyProgress {
  /** Repositories that were pushed to; undefined where nothing was ever hosted. */
  readonly repositories: number | undefined;
  /** Whether there are stored users and tokens. */
  readonly access: boolean;
  /** Names of the keys. */
  readonly keys: readonly string[];
  readonly pruned: number;
  /** The first thousand of what could not be copied. */
  readonly list: readonly Problem[];
}

const NOTHING: CopyProgress & { readonly list: readonly Problem[]; readonly repositories: undefined } = {
  ...NOTHING_COPIED,
  list: [],
  repositories: undefined,
};

/**
 * Copies all that no upstream has into a directory. A backup into the same directory again copies what is new.
 *
 * The directory is a whole backup at each moment, of the last state that was finished: blobs come first, and the records that name them
 * take the place of the earlier ones afterwards, each file in one step. A corrupt or missing original is in the report, and does not
 * end the backup.
 *
 * @throws {BackupError} where the directory is no backup, its disk is full or cannot be used; {HostedStoreError} {AccessStoreError}; the
 * signal's reason
 */
export async function backUp(options: BackUpOptions): Promise<BackupReport> {
  const { directory, cacheDir, now = Date.now } = options;
  const explained = (error: unknown): never => {
    throw explainDisk(error, { directory, again: 'run `entrepot backup` again' });
  };
  const place = await claimPlace(directory, cacheDir).catch(explained);
  try {
    const content = await backUpHosted(options, place);
    const access = await backUpAccess(options, place);
    const keys = await copyKeys(cacheDir, directory);
    await options.confirm?.();
    crashPoint('backup.before-records');
    if (content.publish !== undefined) await content.publish();
    crashPoint('backup.published');
    const { report } = content;
    await place.finish({ finishedAt: now(), hosted: report.repositories !== undefined, access });
    const pruned = options.prune === true ? await prune(directory, options.signal) : 0;
    return { ...report, access, keys, pruned };
  } catch (error) {
    return explained(error);
  } finally {
    await place.release();
  }
}

interface HostedPart {
  readonly report: Omit<BackupReport, 'access' | 'keys' | 'pruned'>;
  /** Puts the records in their place; undefined where nothing was ever hosted. */
  readonly publish: (() => Promise<void>) | undefined;
}

async function backUpHosted(options: BackUpOptions, { before }: BackupPlace): Promise<HostedPart> {
  const { directory, cacheDir, copyRecords, signal, onProgress } = options;
  const { openHostedStore, RECORDS } = await loadHostedStore();
  const hosted = join(directory, HOSTED);
  const draft = join(hosted, `${RECORDS}.snapshot`);
  await mkdir(hosted, { recursive: true, mode: 0o700 });
  await removeDatabase(draft);
  if (!(await copyRecords(draft))) {
    if (before?.hosted === true) refuseLess(options, 'was pushed to it');
    return { report: NOTHING, publish: undefined };
  }
  crashPoint('backup.snapshot');
  const target = await openHostedBlobStore(hosted);
  const source = await readHostedBlobs(join(cacheDir, HOSTED));
  const records = await openHostedStore(draft);
  let report: HostedPart['report'];
  try {
    const { repositories } = await records.totals();
    report = { repositories, ...(await copyAll({ source, target, records, signal, onProgress })) };
  } finally {
    await records.close();
  }
  return { report, publish: () => publish(draft, join(hosted, RECORDS)) };
}

/** @returns whether there are users and tokens */
async function backUpAccess(options: BackUpOptions, { before }: BackupPlace): Promise<boolean> {
  const { directory, cacheDir } = options;
  const source = join(cacheDir, ACCESS);
  if (!(await isFile(source))) {
    if (before?.access === true) refuseLess(options, 'is known of its users and tokens');
    return false;
  }
  const { copyAccessStore } = await loadAccessStore();
  const draft = join(directory, `${ACCESS}.new`);
  await removeDatabase(draft);
  await copyAccessStore(source, draft);
  await publish(draft, join(directory, ACCESS));
  return true;
}

/** A mistyped cache directory, or a lost file, would take the place of the last copy. */
function refuseLess({ directory, cacheDir }: BackUpOptions, what: string): never {
  throw new BackupError(
    `Nothing ${what} in ${cacheDir}, and the backup in ${directory} has some: it stays as it is. Name the right cache with --cache-dir, or another directory for the backup; after a loss, restore.`,
  );
}

/** Removes the blobs that the records of the backup do not name. They are its own: no other file is touched. */
async function prune(directory: string, signal: AbortSignal | undefined): Promise<number> {
  const { openHostedStore, RECORDS } = await loadHostedStore();
  const hosted = join(directory, HOSTED);
  if (!(await isFile(join(hosted, RECORDS)))) return 0;
  const store = await openHostedBlobStore(hosted);
  const records = await openHostedStore(join(hosted, RECORDS));
  try {
    return await removeOthers(store, { records, signal });
  } finally {
    await records.close();
  }
}

async function removeOthers(
  store: LinkableBlobStore,
  { records, signal }: { readonly records: HostedStore; readonly signal: AbortSignal | undefined },
): Promise<number> {
  let removed = 0;
  for await (const digests of store.listDigests()) {
    for (const digest of digests) {
      signal?.throwIfAborted();
      if (await records.isReferenced(digest)) continue;
      if (await store.delete(digest)) removed += 1;
    }
  }
  return removed;
}
