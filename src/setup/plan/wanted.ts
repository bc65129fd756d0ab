import type { ClientFile, EditedFile, ServerAddress, SetupChoices } from '../../clients/index.ts';
import { isMap, parseFile } from '../edit/index.ts';
import type { Machine } from '../machine.ts';

/** What to point a client at, and how. */
export interface SetupRequest {
  readonly server: ServerAddress;
  readonly choices: SetupChoices;
}

/** The registries that get a table where each needs one and the command names none. */
export const COMMON_REGISTRIES = ['docker.io', 'ghcr.io', 'quay.io', 'gcr.io', 'registry.k8s.io', 'mcr.microsoft.com'];

/** A file that this program does not change. */
export interface Refusal {
  readonly path: string;
  /** Ends the sentence "FILE …", and names a remedy. */
  readonly reason: string;
}

/** What a client's files should say on one machine. */
export interface Wanted {
  readonly files: readonly ClientFile[];
  readonly refusals: readonly Refusal[];
  /** Whole sentences about what the change does not do. */
  readonly notes: readonly string[];
  /** The command after a change of a file that the client does not read at each pull. */
  readonly restart?: string | undefined;
  readonly verify?: string | undefined;
}

/** A server that a client's file names for a registry. */
export interface FoundMirror {
  /** `*`: every registry. */
  readonly registry: string;
  /** As the file has it: a URL, or host and port. */
  readonly server: string;
}

/** What a file of a client says about mirrors. */
export interface FoundFile {
  readonly path: string;
  readonly mirrors: readonly FoundMirror[];
  /** Why the file could not be understood; ends the sentence "FILE …". */
  readonly problem?: string;
}

/** One client on one machine. */
export interface ClientPlanner {
  readonly plan: (machine: Machine, request: SetupRequest) => Wanted;
  /** The mirrors that its files name now. */
  readonly find: (machine: Machine, user: boolean) => readonly FoundFile[];
}

type ParsedFile =
  | { readonly kind: 'absent' }
  | { readonly kind: 'data'; readonly data: Readonly<Record<string, unknown>> }
  | { readonly kind: 'problem'; readonly reason: string };

/** Reads and parses a file whose top is a map. */
export function readData(machine: Machine, format: EditedFile['format'], path: string): ParsedFile {
  const state = machine.read(path);
  if (state.kind === 'absent') return state;
  if (state.kind === 'unreadable') return { kind: 'problem', reason: state.reason };
  try {
    const data = parseFile(format, state.text) ?? {};
    return isMap(data) ? { kind: 'data', data } : { kind: 'problem', reason: 'does not have keys at its top' };
  } catch (error) {
    const message = (error instanceof Error ? error.message : String(error)).split('\n')[0];
    return { kind: 'problem', reason: `is not valid ${format.toUpperCase()}: ${message}` };
  }
}

/** The file as found, if it is there. */
export function found(
  machine: Machine,
  {
    path,
    format,
    read,
  }: {
    readonly path: string;
    readonly format: EditedFile['format'];
    readonly read: (data: Readonly<Record<string, unknown>>) => readonly FoundMirror[];
  },
): readonly FoundFile[] {
  const state = readData(machine, format, path);
  if (state.kind === 'absent') return [];
  if (state.kind === 'problem') return [{ path, mirrors: [], problem: state.reason }];
  return [{ path, mirrors: read(state.data) }];
}

/** The texts of a list; none where it is no list. */
export function textsOf(value: unknown): readonly string[] {
  return Array.isArray(value) ? value.filter((each) => typeof each === 'string') : [];
}

/** `a, b and c` */
export function listed(names: readonly string[]): string {
  return names.length < 2 ? names.join('') : `${names.slice(0, -1).join(', ')} and ${names.at(-1)}`;
}
