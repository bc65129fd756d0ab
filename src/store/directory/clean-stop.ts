import { readFile, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { flushDirectory, replaceJson } from './directories.ts';

/** The state of a cache directory whose last server stopped cleanly. */
interface CleanStop {
  /** When rows and files were last reconciled; milliseconds since the epoch. */
  readonly reconciledAt: number;
}

/**
 * Takes the note of a clean stop, which means that rows and files agreed, so that no reconciliation is needed. Undefined where
 * there is none, or where the metadata database has changed since (a backup restored, or an operator's edit).
 *
 * It deletes the note before anything can be stored, so that a crash leaves none. The owner of the directory calls it before
 * it opens the metadata database.
 */
export async function takeCleanStop(directory: string): Promise<CleanStop | undefined> {
  const file = noteIn(directory);
  let found: { readonly reconciledAt: number; readonly names: string } | undefined;
  try {
    found = readNote(JSON.parse(await readFile(file, 'utf8')));
    await rm(file);
    await flushDirectory(directory);
  } catch {
    return undefined;
  }
  if (found === undefined || found.names !== (await databaseMark(directory))) return undefined;
  return { reconciledAt: found.reconciledAt };
}

/** Writes the note. To be called when the metadata database is closed and nothing is stored any more. */
export async function noteCleanStop(directory: string, { reconciledAt }: CleanStop): Promise<void> {
  const names = await databaseMark(directory);
  if (names === undefined) return;
  const file = noteIn(directory);
  await replaceJson(file, { countedAt: reconciledAt, names });
}

function noteIn(directory: string): string {
  return join(directory, 'clean-stop.json');
}

function readNote(note: unknown): { readonly reconciledAt: number; readonly names: string } | undefined {
  if (typeof note !== 'object' || note === null) return undefined;
  // The file's keys are those of earlier versions.
  const { countedAt: reconciledAt, names } = note as Record<string, unknown>;
  return typeof reconciledAt === 'number' && typeof names === 'string' ? { reconciledAt, names } : undefined;
}

/** Identifies the metadata database in its current state; undefined where it is missing, or its log was not merged. */
async function databaseMark(directory: string): Promise<string | undefined> {
  const file = join(directory, 'names.db');
  try {
    const { ino, size, mtimeNs } = await stat(file, { bigint: true });
    const log = await stat(`${file}-wal`).catch(() => undefined);
    return log === undefined ? `${ino}-${size}-${mtimeNs}` : undefined;
  } catch {
    return undefined;
  }
}
