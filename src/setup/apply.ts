import { rmSync } from 'node:fs';
import { dirname } from 'node:path';
import { explainFileError, type Machine } from './machine.ts';
import type { PlannedFile, SetupPlan } from './plan/index.ts';
import { hashOf, type RecordedFile, recordDirectory, removeRecord, type SetupRecord, writeRecord } from './record.ts';
import { makeDirectories, removeIfEmpty, replaceFile } from './write.ts';

/** A change that failed. Everything is as it was before; the message says what stood in the way, and the remedy. */
export class SetupError extends Error {
  override readonly name = 'SetupError';
}

/**
 * Writes the files of a plan, all or none, after the record from which they can be undone.
 *
 * @throws SetupError if a file cannot be written
 */
export function applyPlan(
  machine: Machine,
  plan: SetupPlan,
  { record, user }: { readonly record: SetupRecord | undefined; readonly user: boolean },
): void {
  const { client, server, files } = plan;
  const kept = (record?.files ?? []).filter(({ path }) => !files.some((file) => file.path === path));
  const directories = [...(record?.directories ?? [])];
  const next = (): SetupRecord => ({ client, server, files: [...kept, ...files.flatMap(recordedFile)], directories });
  inPlace(machine, recordDirectory(client, user), () => writeRecord(machine, next(), user));
  const done: PlannedFile[] = [];
  try {
    for (const file of files) {
      done.push(file);
      directories.push(...inPlace(machine, file.path, () => putFile(machine, file.path, file.after)));
    }
    removeEmpty(directories);
    // Again, with the directories.
    writeRecord(machine, next(), user);
  } catch (error) {
    for (const { path, current } of done.toReversed()) putBack(machine, path, current);
    removeEmpty(directories);
    if (record === undefined) removeRecord(machine, client, user);
    else writeRecord(machine, record, user);
    throw error;
  }
}

/** Removes those of the directories that are empty, the innermost first. */
export function removeEmpty(directories: readonly string[]): void {
  for (const each of [...directories].sort((a, b) => b.length - a.length)) removeIfEmpty(each);
}

/** Nothing is recorded of a file that is back to what it was. */
function recordedFile({ path, before, after, mixed }: PlannedFile): RecordedFile[] {
  if (after === undefined || (before !== undefined && after.equals(before))) return [];
  return [{ path, before, written: hashOf(after), mixed }];
}

/**
 * Gives a file this content, or removes it.
 *
 * @returns the directories that were created for it
 */
export function putFile(machine: Machine, path: string, content: Buffer | undefined): readonly string[] {
  const real = machine.realPath(path) ?? machine.locate(path);
  if (content === undefined) {
    rmSync(real, { force: true });
    return [];
  }
  const made = makeDirectories(dirname(real));
  try {
    replaceFile(real, content);
  } catch (error) {
    removeEmpty(made);
    throw error;
  }
  return made;
}

/** After a failure: what can be put back is, and the first error is the one that is told. */
function putBack(machine: Machine, path: string, content: Buffer | undefined): void {
  try {
    putFile(machine, path, content);
  } catch {
    // It could not be written before either.
  }
}

/** Runs work on a file, whose errors name it and the remedy. */
export function inPlace<T>(machine: Machine, path: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw new SetupError(`${machine.locate(path)} ${explainFileError(error)}. Nothing was changed.`, { cause: error });
  }
}
