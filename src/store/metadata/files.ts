import { rm, stat } from 'node:fs/promises';

/** The path of a metadata database's backup. */
export function backupOf(file: string): string {
  return `${file.replace(/\.db$/, '')}.backup.db`;
}

/** The file that is filled before it replaces the database or its backup. */
export function draftOf(file: string): string {
  return `${file}.new`;
}

/** Removes the drafts of a killed process, each as large as the database. The caller owns the directory. */
export async function removeDrafts(file: string): Promise<void> {
  for (const each of [file, backupOf(file)]) {
    for (const suffix of ['', '-journal']) await rm(`${draftOf(each)}${suffix}`, { force: true });
  }
}

/** Sizes in bytes; 0 where a file is missing. */
interface DatabaseSizes {
  readonly database: number;
  /** The write-ahead log. */
  readonly log: number;
  readonly backup: number;
}

/** What a metadata database takes on the disk. */
export async function sizesOf(file: string): Promise<DatabaseSizes> {
  const [database, log, backup] = await Promise.all([sizeOf(file), sizeOf(`${file}-wal`), sizeOf(backupOf(file))]);
  return { database, log, backup };
}

async function sizeOf(file: string): Promise<number> {
  return stat(file).then(
    ({ size }) => size,
    () => 0,
  );
}
