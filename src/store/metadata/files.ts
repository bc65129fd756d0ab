import { rm, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { observationFile } from '../observation-file.ts';
import { pullFile } from '../pull-file.ts';

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
  /** The observed requests and the record of pulls beside it, and their logs. */
  readonly beside: number;
}

/** What a metadata database takes on the disk, and what lies beside it. */
export async function sizesOf(file: string): Promise<DatabaseSizes> {
  const directory = dirname(file);
  const others = [observationFile(directory), pullFile(directory)].flatMap((each) => [each, `${each}-wal`]);
  const [database = 0, log = 0, backup = 0, ...beside] = await Promise.all(
    [file, `${file}-wal`, backupOf(file), ...others].map(sizeOf),
  );
  return { database, log, backup, beside: beside.reduce((sum, size) => sum + size, 0) };
}

async function sizeOf(file: string): Promise<number> {
  return stat(file).then(
    ({ size }) => size,
    () => 0,
  );
}
