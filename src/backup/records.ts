import { join } from 'node:path';
import { loadHostedStore } from '../store/index.ts';
import { copyWhole, HOSTED, isFile, namesIn } from './files.ts';

/** Writes a consistent copy of the records to a path that does not exist; false where nothing was ever hosted. */
export type CopyRecords = (target: string) => Promise<boolean>;

/** Takes the copy that a running server has made. @param snapshot its path; undefined where nothing was ever hosted */
export function copySnapshot(snapshot: string | undefined): CopyRecords {
  return async (target) => {
    if (snapshot === undefined) return false;
    await copyWhole(snapshot, target);
    return true;
  };
}

/** Copies the records of a cache directory that this process owns. */
export function copyOwnRecords(cacheDir: string): CopyRecords {
  return async (target) => {
    const { openHostedStore, RECORDS } = await loadHostedStore();
    const hosted = join(cacheDir, HOSTED);
    // Lost records are not the same as none: opening them says so.
    if (!(await isFile(join(hosted, RECORDS))) && !(await hasLayouts(hosted))) return false;
    const records = await openHostedStore(join(hosted, RECORDS));
    try {
      await records.backUp(target);
    } finally {
      await records.close();
    }
    return true;
  };
}

async function hasLayouts(hosted: string): Promise<boolean> {
  return (await namesIn(join(hosted, 'repositories'))).length > 0;
}
