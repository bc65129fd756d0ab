import type { ClientFile, Setting, SetupClient } from '../../clients/index.ts';
import { editFile } from '../edit/index.ts';
import type { FileState, Machine } from '../machine.ts';
import { hashOf, type RecordedFile, type SetupRecord } from '../record.ts';
import { buildkit } from './buildkit.ts';
import { containerd } from './containerd.ts';
import { crio, podman } from './containers.ts';
import { docker } from './docker.ts';
import { k3s } from './k3s.ts';
import type { ClientPlanner, Refusal, SetupRequest } from './wanted.ts';

/** The clients whose files are on this machine. Those of Kubernetes nodes are not: a manifest writes them. */
export type MachineClient = Exclude<SetupClient, 'kubernetes'>;

export const PLANNERS: Readonly<Record<MachineClient, ClientPlanner>> = {
  docker,
  containerd,
  podman,
  'cri-o': crio,
  buildkit,
  k3s,
};

/** One file that is to change. */
export interface PlannedFile {
  /** As the client names it. */
  readonly path: string;
  /** What it is now; undefined where there is none. */
  readonly current: Buffer | undefined;
  /** What it is to be; undefined where it is to be removed. */
  readonly after: Buffer | undefined;
  /** What `--undo` brings back. */
  readonly before: Buffer | undefined;
  /** Whether someone else has changed it since it was last written. */
  readonly mixed: boolean;
  readonly live: boolean;
}

/** The change of a client's files, before anything is written. */
export interface SetupPlan {
  readonly client: MachineClient;
  readonly server: string;
  readonly files: readonly PlannedFile[];
  /** The paths of the files that say what they should already. */
  readonly unchanged: readonly string[];
  /** With a refusal, nothing of the plan is applied. */
  readonly refusals: readonly Refusal[];
  readonly notes: readonly string[];
  /** The command after the change; undefined where the client needs none. */
  readonly restart: string | undefined;
  readonly verify: string | undefined;
}

/**
 * Plans how a client's files come to lead to a server. Files that an earlier plan wrote, and that have not been touched
 * since, are planned from what they were before it: another server takes the place of the first.
 *
 * @param record what was done for the client before
 */
export function planSetup(
  machine: Machine,
  client: MachineClient,
  { request, record }: { readonly request: SetupRequest; readonly record: SetupRecord | undefined },
): SetupPlan {
  const wanted = PLANNERS[client].plan(asBefore(machine, record), request);
  const refusals: Refusal[] = [...wanted.refusals];
  const files: PlannedFile[] = [];
  const unchanged: string[] = [];
  for (const file of wanted.files) {
    const recorded = record?.files.find(({ path }) => path === file.path);
    const planned = planFile(machine, file, recorded);
    if ('reason' in planned) refusals.push(planned);
    else if (isSame(planned.current, planned.after)) unchanged.push(file.path);
    else files.push(planned);
  }
  for (const recorded of record?.files ?? []) {
    if (wanted.files.some(({ path }) => path === recorded.path)) continue;
    const stale = planRemoval(machine, recorded);
    if (stale !== undefined) files.push(stale);
  }
  return {
    client,
    server: request.server.url,
    files,
    unchanged,
    refusals,
    notes: wanted.notes,
    restart: files.some(({ live }) => !live) ? wanted.restart : undefined,
    verify: wanted.verify,
  };
}

/** The machine as it was before an earlier plan: what that one wrote is no fact about the client. */
function asBefore(machine: Machine, record: SetupRecord | undefined): Machine {
  const untouched = (record?.files ?? []).filter(({ path, written }) => {
    const current = bytesOf(machine.read(path));
    return current !== undefined && hashOf(current) === written;
  });
  return machine.with(untouched.map(({ path, before }) => ({ path, content: before })));
}

function planFile(machine: Machine, file: ClientFile, recorded: RecordedFile | undefined): PlannedFile | Refusal {
  const { path, live = false } = file;
  const state = machine.read(path);
  if (state.kind === 'unreadable') return { path: machine.locate(path), reason: state.reason };
  const current = bytesOf(state);
  const isOurs = recorded !== undefined && current !== undefined && hashOf(current) === recorded.written;
  const base = isOurs ? recorded.before : current;
  const after = contentOf(machine, file, { base, isOurs });
  if (typeof after === 'string') return { path: machine.locate(path), reason: after };
  const isRestored = recorded !== undefined && isSame(current, recorded.before);
  return {
    path,
    current,
    after,
    before: recorded === undefined ? current : recorded.before,
    mixed: recorded !== undefined && (recorded.mixed || !(isOurs || isRestored)),
    live,
  };
}

/** What the file is to be, or why it cannot be. */
function contentOf(
  machine: Machine,
  file: ClientFile,
  { base, isOurs }: { readonly base: Buffer | undefined; readonly isOurs: boolean },
): Buffer | string {
  const whole = Buffer.from(`${atHome(machine, file.content)}\n`);
  if (file.merge === 'certificate' && base !== undefined && !isOurs && !base.equals(whole)) {
    return 'holds another certificate; append yours to it by hand';
  }
  if (!('settings' in file) || base === undefined) return whole;
  const settings = file.settings.map((setting) => settingAtHome(machine, setting));
  const edited = editFile({ ...file, settings, content: atHome(machine, file.content) }, base.toString());
  if (edited.kind === 'refused') return edited.reason;
  return edited.kind === 'same' ? base : Buffer.from(edited.text);
}

/** Clients do not know `~` within their files. */
function atHome(machine: Machine, text: string): string {
  return text.replaceAll('"~/', `"${machine.home}/`);
}

function settingAtHome(machine: Machine, setting: Setting): Setting {
  if ('first' in setting || typeof setting.set === 'boolean') return setting;
  const { set } = setting;
  return {
    ...setting,
    set: Array.isArray(set) ? set.map((each) => machine.absolute(each)) : machine.absolute(String(set)),
  };
}

/** A file that an earlier plan wrote and this one does not have. One that was touched since stays. */
function planRemoval(machine: Machine, { path, before, written, mixed }: RecordedFile): PlannedFile | undefined {
  const current = bytesOf(machine.read(path));
  if (current === undefined || hashOf(current) !== written || mixed) return undefined;
  return { path, current, after: before, before, mixed, live: false };
}

function bytesOf(state: FileState): Buffer | undefined {
  return state.kind === 'file' ? state.bytes : undefined;
}

function isSame(one: Buffer | undefined, other: Buffer | undefined): boolean {
  return one === undefined || other === undefined ? one === other : one.equals(other);
}

/** The command after a change of the client's files, whatever they say now. */
export function restartCommand(machine: Machine, client: MachineClient, request: SetupRequest): string | undefined {
  return PLANNERS[client].plan(machine, request).restart;
}
