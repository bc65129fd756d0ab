import { clientNamed, type SetupClient } from '../clients/index.ts';
import { Machine, type MachineOptions } from './machine.ts';
import { type FoundFile, type FoundMirror, type MachineClient, PLANNERS, planSetup } from './plan/index.ts';

/** What one client's files on a machine say. */
export interface ClientInspection {
  readonly client: SetupClient;
  /** Whether the machine has the client: a program, or its directory of configuration. */
  readonly isInstalled: boolean;
  /** Whether the files are those of the user (rootless). */
  readonly user: boolean;
  /**
   * `configured`: its pulls go to the server; `partly`: some do; `not-configured`; `unparseable`: a file cannot be
   * understood. Without a server to compare with, any mirror counts.
   */
  readonly state: 'configured' | 'partly' | 'not-configured' | 'unparseable';
  /** The files that are there, with the servers that they name. */
  readonly files: readonly FoundFile[];
}

interface InspectOptions extends MachineOptions {
  /** The URL of the server that the client should use. @default any */
  readonly server?: string | undefined;
  /** The files of the user instead of those of the machine. @default false */
  readonly user?: boolean | undefined;
}

/** Reads a client's files and says which server they point at. It writes nothing and runs nothing. */
export function inspectClient(
  client: SetupClient,
  { server, user = false, ...options }: InspectOptions,
): ClientInspection {
  const machine = new Machine(options);
  const isInstalled = hasClient(machine, client);
  if (client === 'kubernetes') return { client, isInstalled, user, state: 'not-configured', files: [] };
  const files = PLANNERS[client].find(machine, user);
  const mirrors = files.flatMap((file) => file.mirrors).filter((each) => server === undefined || leadsTo(each, server));
  const state = files.some(({ problem }) => problem !== undefined)
    ? 'unparseable'
    : mirrors.length === 0
      ? 'not-configured'
      : isComplete(machine, client, { mirrors, server, user })
        ? 'configured'
        : 'partly';
  return { client, isInstalled, user, state, files };
}

/** Whether setting the client up for the registries that it has would change nothing. */
function isComplete(
  machine: Machine,
  client: MachineClient,
  {
    mirrors,
    server,
    user,
  }: { readonly mirrors: readonly FoundMirror[]; readonly server: string | undefined; readonly user: boolean },
): boolean {
  // Without a server to compare with, whether the files are complete for the one that they name.
  const named = server ?? mirrors.find((each) => URL.canParse(each.server) && /^https?:/.test(each.server))?.server;
  if (named === undefined) return true;
  const url = new URL(named).origin;
  const registries = [...new Set(mirrors.map(({ registry }) => registry))].map((registry) =>
    registry === '*' && client !== 'k3s' ? '_default' : registry,
  );
  const own = client === 'docker' ? undefined : registries;
  const request = {
    server: { url, host: new URL(url).host, defaultRegistry: 'docker.io' },
    choices: { user, registries: own },
  };
  const plan = planSetup(machine, client, { request, record: undefined });
  // podman's tables may be in a file of another name, which is as good.
  const files = plan.files.filter(({ path }) => !path.endsWith('/50-entrepot.conf'));
  return files.length === 0 && plan.refusals.length === 0;
}

/** Whether a mirror in a file is this server: the same URL, or its host in front of the registry's name. */
function leadsTo({ server: written }: FoundMirror, server: string): boolean {
  const { host } = new URL(server);
  const bare = written.replace(/^https?:\/\//, '');
  return bare === host || bare.startsWith(`${host}/`);
}

/** Whether the machine has a sign of the client. */
export function hasClient(machine: Machine, client: SetupClient): boolean {
  const { programs, paths } = clientNamed(client).signs ?? { programs: [], paths: [] };
  return programs.some((name) => machine.hasProgram(name)) || paths.some((path) => machine.has(path));
}

/**
 * Whether a user without root means the files of their own: podman is rootless then; Docker and BuildKit are where they have
 * such files.
 */
export function usesUserFiles(machine: Machine, client: SetupClient, isRoot: boolean): boolean {
  if (isRoot || !machine.isLive) return false;
  if (client === 'podman') return true;
  return USER_FILES[client]?.some((path) => machine.has(path)) ?? false;
}

const USER_FILES: Partial<Readonly<Record<SetupClient, readonly string[]>>> = {
  docker: ['~/.config/docker/daemon.json', '~/.config/systemd/user/docker.service'],
  buildkit: ['~/.config/buildkit', '~/.config/systemd/user/buildkit.service'],
};
