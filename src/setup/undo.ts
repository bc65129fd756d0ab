import type { SetupClient } from '../clients/index.ts';
import { inPlace, putFile, removeEmpty } from './apply.ts';
import type { Machine } from './machine.ts';
import { hashOf, recordDirectory, removeRecord, type SetupRecord } from './record.ts';

interface UndoneFile {
  readonly path: string;
  readonly current: Buffer | undefined;
  /** What it was before the first change; undefined where there was none. */
  readonly before: Buffer | undefined;
  /** Whether it is not what was written: undoing then loses someone else's change. */
  readonly changedSince: boolean;
}

/** What undoing would do to a client's files. */
interface UndoPlan {
  readonly client: SetupClient;
  /** Those that are not yet what they were. */
  readonly files: readonly UndoneFile[];
  /** Files that cannot be read; the reason ends the sentence "FILE …". */
  readonly refusals: readonly { readonly path: string; readonly reason: string }[];
  readonly directories: readonly string[];
}

export function planUndo(machine: Machine, { client, files, directories }: SetupRecord): UndoPlan {
  const states = files.map((file) => ({ file, state: machine.read(file.path) }));
  return {
    client,
    files: states.flatMap(({ file: { path, before, written, mixed }, state }) => {
      if (state.kind === 'unreadable') return [];
      const current = state.kind === 'file' ? state.bytes : undefined;
      if (current === undefined ? before === undefined : before?.equals(current) === true) return [];
      return [{ path, current, before, changedSince: mixed || current === undefined || hashOf(current) !== written }];
    }),
    refusals: states.flatMap(({ file: { path }, state }) =>
      state.kind === 'unreadable' ? [{ path: machine.locate(path), reason: state.reason }] : [],
    ),
    directories,
  };
}

/**
 * Makes the files what they were, and forgets the record.
 *
 * @throws SetupError if a file cannot be written; the record stays then
 */
export function applyUndo(machine: Machine, { client, files, directories }: UndoPlan, user: boolean): void {
  for (const { path, before } of files) inPlace(machine, path, () => putFile(machine, path, before));
  removeEmpty(directories);
  inPlace(machine, recordDirectory(client, user), () => removeRecord(machine, client, user));
}
