import { statSync } from 'node:fs';
import { homedir } from 'node:os';
import { isLoopback, isSecure, SETUP_CLIENTS, type ServerAddress, type SetupClient } from '../../../clients/index.ts';
import {
  applyPlan,
  hasClient,
  inspectClient,
  Machine,
  type MachineClient,
  planSetup,
  readRecord,
} from '../../../setup/index.ts';
import { reportErrors, UsageError } from '../../errors.ts';
import { EXIT } from '../../exit-code.ts';
import { formatJson, formatTable } from '../../format.ts';
import { type Output, processOutput } from '../../output.ts';
import { setupKubernetes } from './kubernetes.ts';
import { isUser, type SetupContext, type SetupOptions, type SetupSurroundings } from './options.ts';
import { runRestart } from './restart.ts';
import { readCertificates, serverAddress } from './server-address.ts';
import { planJson, showPlan } from './show-plan.ts';
import { undoSetup } from './undo.ts';

/** `entrepot setup`: points one client at the server, or lists them all. Gives the exit code. */
export function setup(options: SetupOptions, surroundings: SetupSurroundings = {}): Promise<number> {
  const { output = processOutput } = surroundings;
  return reportErrors(output, async () => {
    const { client, root, undo = false } = options;
    const machine = new Machine({
      root,
      home: surroundings.home ?? homedir(),
      searchPath: process.env['PATH'],
    });
    const wrong = wrongOptions(options);
    if (wrong !== undefined) {
      output.err(`error: ${wrong}\n`);
      return EXIT.usage;
    }
    if (client === undefined) return await listClients(machine, options, output);
    if (client === 'kubernetes') return await setupKubernetes(options, output);
    if (undo) return await undoSetup(machine, client, { options, surroundings });
    return await setupClient(machine, client, { options, surroundings });
  });
}

/** What no flag of commander's says: which options go together. */
function wrongOptions(options: SetupOptions): string | undefined {
  const { client, apply, undo, restart, force, output, root } = options;
  if (client === undefined && (apply || undo)) return 'name the client to set up (see entrepot setup --help)';
  if (restart && !apply && !undo) return '--restart goes with --apply or --undo';
  if (restart && root !== undefined) return '--restart is for the files of this machine, and not for --root';
  if (force && !undo) return '--force goes with --undo';
  if (root !== undefined && !isDirectory(root)) return `--root ${root} is no directory; name one that exists`;
  if (output !== undefined && client !== 'kubernetes') return '--output is for kubernetes';
  if (client === 'kubernetes' && apply) {
    return 'nothing on this machine changes for kubernetes; apply the manifest with: entrepot setup kubernetes | kubectl apply -f -';
  }
  return wrongRegistries(options);
}

function isDirectory(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
}

/** Every registry at once has a name of its own, where a client has such a thing. */
function wrongRegistries({ client, registries = [] }: SetupOptions): string | undefined {
  const all = registries.find((name) => name === '*' || name === '_default');
  const own = client === undefined ? undefined : ALL_REGISTRIES[client];
  if (all === undefined || all === own) return undefined;
  return own === undefined
    ? `--registries ${all} means every registry; ${client ?? 'a list of clients'} needs them by name`
    : `--registries ${all} means every registry, which is ${own} for ${client}`;
}

const ALL_REGISTRIES: Partial<Readonly<Record<SetupClient, string>>> = {
  docker: '_default',
  containerd: '_default',
  kubernetes: '_default',
  k3s: '*',
};

async function setupClient(
  machine: Machine,
  client: MachineClient,
  { options, surroundings }: SetupContext,
): Promise<number> {
  const { output = processOutput } = surroundings;
  const { flags, registries, apply = false, json = false } = options;
  const server = await serverAddress(options.server, flags);
  const ca = options.ca === undefined ? undefined : await readCertificates(options.ca);
  if (ca !== undefined && !isSecure(server)) {
    throw new UsageError(`--ca is for a server with TLS, but its address is ${server.url}`);
  }
  const user = isUser(machine, client, { options, surroundings });
  const record = readRecord(machine, client, user);
  const plan = planSetup(machine, client, { request: { server, choices: { registries, user, ca } }, record });
  const isRefused = plan.refusals.length > 0;
  const isApplied = apply && !isRefused && plan.files.length > 0;
  if (isApplied) applyPlan(machine, plan, { record, user });
  if (json) output.out(formatJson(planJson(machine, plan, { isApplied })));
  else showPlan(machine, plan, { output, apply, isApplied, restarts: options.restart === true });
  if (isRefused) return EXIT.failure;
  if (options.restart === true && isApplied && plan.restart !== undefined)
    return await runRestart(plan.restart, output);
  return EXIT.ok;
}

/** Every client: whether the machine has it, and whether it uses the server. */
async function listClients(machine: Machine, options: SetupOptions, output: Output): Promise<number> {
  const server = await serverAddress(options.server, options.flags);
  const clients = SETUP_CLIENTS.map((client) => describeClient(machine, client, { server, options }));
  if (options.json === true) {
    output.out(formatJson({ server: server.url, clients }));
    return EXIT.ok;
  }
  const rows = clients.map(({ client, installed, state, changes }) => [
    client,
    installed ? 'yes' : 'no',
    state,
    changes.join(', '),
  ]);
  const table = formatTable([['CLIENT', 'INSTALLED', 'STATE', 'WOULD CHANGE'], ...rows]);
  output.out(`${table.join('\n')}\n`);
  output.err(`\nFor the server ${server.url}. \`entrepot setup CLIENT\` shows the change, and writes nothing.\n`);
  if (isLoopback(server)) output.err('Its address is one of this machine alone; for others, name it with --server.\n');
  return EXIT.ok;
}

interface ListedClient {
  readonly client: SetupClient;
  readonly installed: boolean;
  /** `configured`, `partly`, `not configured`, `unparseable` */
  readonly state: string;
  /** The files that `--apply` would change. */
  readonly changes: readonly string[];
}

function describeClient(
  machine: Machine,
  client: SetupClient,
  { server, options }: { readonly server: ServerAddress; readonly options: SetupOptions },
): ListedClient {
  const installed = hasClient(machine, client);
  if (client === 'kubernetes') return { client, installed, state: 'on its nodes', changes: [] };
  const user = isUser(machine, client, { options, surroundings: {} });
  const { state } = inspectClient(client, {
    root: machine.root,
    home: machine.home,
    searchPath: process.env['PATH'],
    server: server.url,
    user,
  });
  const request = { server, choices: { user, registries: options.registries } };
  const { files, refusals } = planSetup(machine, client, { request, record: readRecord(machine, client, user) });
  return {
    client,
    installed,
    state: state.replace('-', ' '),
    changes: [...files.map(({ path }) => path), ...refusals.map(({ path }) => `${path} (by hand)`)],
  };
}
