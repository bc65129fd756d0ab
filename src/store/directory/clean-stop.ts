import { readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { flushDirectory } from './directories.ts';

/** What is known of a cache directory whose last server stopped in order. */
export interface CleanStop {
  /** When rows and files were last compared; milliseconds since the epoch. */
  readonly reconciledAt: number;
}

/**
 * Takes the note that the last server left if it stopped in order and rows and files agreed: then nobody needs to compare
 * them again. Undefined where there is none, or where the names database is not the one it was then (a backup was put in its
 * place, or somebody worked on it).
 *
 * The note is gone from the disk afterwards, before anything can be stored: after a crash there is none. To be called by the
 * owner of the directory, before the names are opened.
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
  if (found === undefined || found.names !== (await namesMark(directory))) return undefined;
  return { reconciledAt: found.reconciledAt };
}

/** Leaves the note. To be called when the names are closed and nothing is stored any more. */
export async function noteCleanStop(directory: string, { reconciledAt }: CleanStop): Promise<void> {
  const names = await namesMark(directory);
  if (names === undefined) return;
  const file = noteIn(directory);
  const draft = `${file}.new`;
  await writeFile(draft, `${JSON.stringify({ countedAt: reconciledAt, names })}\n`, { mode: 0o600 });
  await rename(draft, file);
}

function noteIn(directory: string): string {
  return join(directory, 'clean-stop.json');
}

function readNote(note: unknown): { readonly reconciledAt: number; readonly names: string } | undefined {
  if (typeof note !== 'object' || note === null) return undefined;
  // The key that earlier versions wrote.
  const { countedAt: reconciledAt, names } = note as Record<string, unknown>;
  return typeof reconciledAt === 'number' && typeof names === 'string' ? { reconciledAt, names } : undefined;
}

/** Tells the names database, as it is now, from any other; undefined where there is none, or its log was never merged. */
async function namesMark(directory: string): Promise<string | undefined> {
  const file = join(directory, 'names.db');
  try {
    const { ino, size, mtimeNs } = await stat(file, { bigint: true });
    const log = await stat(`${file}-wal`).catch(() => undefined);
    return log === undefined ? `${ino}-${size}-${mtimeNs}` : undefined;
  } catch {
    return undefined;
  }
}
