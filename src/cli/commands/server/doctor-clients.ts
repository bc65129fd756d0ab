import { homedir } from 'node:os';
import { SETUP_CLIENTS, type SetupClient } from '../../../clients/index.ts';
import {
  type CanaryClient,
  type ClientReport,
  clientFinding,
  type Finding,
  provingRegistry,
} from '../../../doctor/index.ts';
import { inspectClient, Machine, usesUserFiles } from '../../../setup/index.ts';

/** The machine whose clients are examined; a test gives its own. */
export interface ClientSurroundings {
  /** The directory under which the clients' files are. @default '/' */
  readonly root?: string;
  /** @default that of the user */
  readonly home?: string;
}

/** Clients with files on this machine. Those of kubernetes are on its nodes, where they are the files of containerd. */
export const LOCAL_CLIENTS: readonly SetupClient[] = SETUP_CLIENTS.filter((name) => name !== 'kubernetes');

/** Best first: a client that names one address of the server uses it. */
const STATES: readonly ClientReport['state'][] = ['configured', 'partly', 'unparseable', 'not-configured'];

/**
 * What the files of the clients say, and which clients can prove that their pulls come to the server: those whose files name
 * it, and those named here.
 *
 * @param addresses of the server, that which clients should have first
 * @param only these clients; undefined: all that are installed
 */
export function examineClients(
  addresses: readonly [string, ...string[]],
  only: readonly string[] | undefined,
  { root = '/', home = homedir() }: ClientSurroundings,
): { readonly clients: readonly CanaryClient[]; readonly findings: readonly Finding[] } {
  const searchPath = process.env['PATH'];
  const machine = new Machine({ root, home, searchPath });
  const clients: CanaryClient[] = [];
  const findings: Finding[] = [];
  for (const name of LOCAL_CLIENTS) {
    if (only !== undefined && !only.includes(name)) continue;
    const user = usesUserFiles(machine, name, process.getuid?.() === 0);
    const reports = addresses.map((server) => inspectClient(name, { root, home, searchPath, server, user }));
    const [best] = reports.sort((a, b) => STATES.indexOf(a.state) - STATES.indexOf(b.state));
    if (best === undefined || (only === undefined && !best.isInstalled)) continue;
    findings.push(clientFinding(best, addresses[0]));
    if (only === undefined && best.state === 'not-configured') continue;
    clients.push({ client: name, registry: provingRegistry(best) });
  }
  return { clients, findings };
}

/** Searches a program as a shell would. */
export function isInstalled(name: string): boolean {
  return new Machine({ home: homedir(), searchPath: process.env['PATH'] }).hasProgram(name);
}
