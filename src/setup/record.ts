import { createHash } from 'node:crypto';
import { chmodSync, readFileSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { SetupClient } from '../clients/index.ts';
import { isMap } from './edit/index.ts';
import type { Machine } from './machine.ts';
import { makeDirectories, removeIfEmpty, replaceFile } from './write.ts';

/** What was done to one file. */
export interface RecordedFile {
  /** As the client names it. */
  readonly path: string;
  /** Undefined where there was no file. */
  readonly before: Buffer | undefined;
  /** SHA-256 of what was written, in hexadecimal. */
  readonly written: string;
  /** Whether someone else had changed the file between two times that it was written. */
  readonly mixed: boolean;
}

/** What was done for a client, so that it can be undone. */
export interface SetupRecord {
  readonly client: SetupClient;
  /** The server the client was pointed at. */
  readonly server: string;
  readonly files: readonly RecordedFile[];
  /** The directories that were created for them, where they are. */
  readonly directories: readonly string[];
}

/** A record that cannot be read. The message names the file and the remedy. */
export class RecordError extends Error {
  override readonly name = 'RecordError';
}

/**
 * Where the records are: under /etc, which belongs to root, and not in the state directory of the server's own user, who
 * could otherwise choose what `--undo` writes as root.
 */
export function recordDirectory(client: SetupClient, user: boolean): string {
  return user ? `~/.config/entrepot/setup/${client}` : `/etc/entrepot/setup/${client}`;
}

/** @throws RecordError if it is there and cannot be read */
export function readRecord(machine: Machine, client: SetupClient, user: boolean): SetupRecord | undefined {
  const directory = recordDirectory(client, user);
  const file = `${directory}/${RECORD}`;
  const state = machine.read(file);
  if (state.kind === 'absent') return undefined;
  if (state.kind === 'unreadable') throw new RecordError(`${machine.locate(file)} ${state.reason}.`);
  try {
    const { server, files, directories } = checked(JSON.parse(state.text));
    return {
      client,
      server,
      directories,
      files: files.map(({ backup, ...each }) => ({
        ...each,
        before: backup === undefined ? undefined : readFileSync(machine.locate(`${directory}/${backup}`)),
      })),
    };
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    const remedy = `Restore the files by hand from the backups beside it, and remove ${machine.locate(directory)}.`;
    throw new RecordError(`${machine.locate(file)} cannot be read: ${reason}. ${remedy}`, { cause: error });
  }
}

/** Writes a record with its backups, readable by its owner alone: a client's file may hold a password. */
export function writeRecord(machine: Machine, record: SetupRecord, user: boolean): void {
  const { client, files } = record;
  const directory = machine.locate(recordDirectory(client, user));
  makeDirectories(dirname(directory));
  makeDirectories(directory, 0o700);
  chmodSync(directory, 0o700);
  const stored = files.map(({ before, ...each }, index): StoredFile => {
    const name = each.path.split('/').at(-1) ?? '';
    return { ...each, ...(before !== undefined && { backup: `${index}-${name}.before` }) };
  });
  for (const [index, { backup }] of stored.entries()) {
    const before = files[index]?.before;
    if (backup !== undefined && before !== undefined) replaceFile(join(directory, backup), before, { mode: 0o600 });
  }
  const text = `${JSON.stringify({ version: VERSION, ...record, files: stored }, null, 2)}\n`;
  replaceFile(join(directory, RECORD), Buffer.from(text), { mode: 0o600 });
}

export function removeRecord(machine: Machine, client: SetupClient, user: boolean): void {
  const directory = machine.locate(recordDirectory(client, user));
  rmSync(directory, { recursive: true, force: true });
  removeIfEmpty(dirname(directory));
}

export function hashOf(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
}

const RECORD = 'record.json';
const VERSION = 1;

type StoredFile = Omit<RecordedFile, 'before'> & {
  /** The file that has the content of before, beside the record. */
  readonly backup?: string;
};

function checked(value: unknown): Omit<SetupRecord, 'client' | 'files'> & { readonly files: readonly StoredFile[] } {
  if (!isMap(value) || value['version'] !== VERSION) throw new Error(`it is not of version ${VERSION}`);
  const { server, files, directories } = value;
  if (typeof server !== 'string' || !Array.isArray(files) || !Array.isArray(directories)) {
    throw new Error('it lacks its server, its files or its directories');
  }
  return { server, files: files.map(checkedFile), directories: directories.map(String) };
}

function checkedFile(value: unknown): StoredFile {
  if (!isMap(value)) throw new Error('one of its files is not an object');
  const { path, written, mixed, backup } = value;
  const isName = (name: unknown): name is string => typeof name === 'string' && !/[/\\]|^\.\.?$/.test(name);
  if (typeof path !== 'string' || !/^(?:~\/|\/)/.test(path)) throw new Error('one of its files has no path');
  if (typeof written !== 'string' || typeof mixed !== 'boolean') {
    throw new Error(`its entry for ${path} is incomplete`);
  }
  if (backup !== undefined && !isName(backup)) throw new Error(`its backup of ${path} is not a file name`);
  return { path, written, mixed, ...(backup !== undefined && { backup }) };
}
