import { setTimeout as sleep } from 'node:timers/promises';
import { CANARY_REPOSITORY, type CanaryView, newCanaryTag } from '../canary/index.ts';
import { type ClientCommands, commandsOf, manualPull } from './client-commands.ts';
import { setupCommand } from './clients.ts';
import { type Finding, failed, ok, skipped } from './finding.ts';
import { runCommand } from './run-command.ts';
import type { ServerClient } from './server-client.ts';

/** A client that should pull by the server. */
export interface CanaryClient {
  readonly client: string;
  /** One whose pulls should come to the server. */
  readonly registry: string;
}

/** How the pulls are started: by this command, by a person while it waits, or not at all. */
export type PullBy = 'run' | 'wait' | 'none';

interface CanaryOptions {
  readonly pullBy: PullBy;
  /** Milliseconds for one pull, or for all of them to arrive. */
  readonly timeout: number;
  readonly signal?: AbortSignal | undefined;
  readonly hasProgram: (name: string) => boolean;
  /** Called with the command that a person is to run. */
  readonly onCommand?: (command: string) => void;
}

/**
 * Whether the server answers its canary: at its address, and to each client. The canary's tag is random, so that a client
 * that falls back to the registry itself finds nothing, and its pull fails.
 */
export async function canaryFindings(
  server: ServerClient,
  clients: readonly CanaryClient[],
  options: CanaryOptions,
): Promise<readonly Finding[]> {
  const served = await servedFinding(server);
  if (served.state !== 'ok') return [served];
  const pulls = clients.map((client) => newPull(client, options));
  return [served, ...(await pullFindings(server, pulls, options))];
}

async function servedFinding(server: ServerClient): Promise<Finding> {
  const tag = newCanaryTag();
  const about = { id: 'canary.served', what: server.url } as const;
  const view = await server.canary(tag);
  if (typeof view === 'string') {
    return failed(
      { ...about, found: view },
      'Name the address of an entrepot server of this version with --server; if it is one, restart it after the update, or correct the proxy in front of it.',
    );
  }
  const answer = await server.ask('HEAD', `/v2/${CANARY_REPOSITORY}/manifests/${tag}`);
  if (typeof answer !== 'string' && (answer.status === 401 || answer.status === 403)) {
    const found = `it refuses its canary (${answer.status})`;
    return failed({ ...about, found }, 'Show a login that it knows: --user NAME --password-stdin.');
  }
  const digest = typeof answer === 'string' ? undefined : answer.headers['docker-content-digest'];
  if (digest === view.digest) return ok({ ...about, found: `entrepot ${view.version} answers its canary` });
  return failed(
    { ...about, found: `its canary is ${view.digest}, and it served ${digest ?? 'none'}` },
    'Several servers answer at this address, or a cache in front of it: name one server with --server.',
  );
}

interface Pull extends CanaryClient {
  readonly tag: string;
  readonly image: string;
  readonly commands: ClientCommands | undefined;
}

function newPull({ client, registry }: CanaryClient, { hasProgram }: CanaryOptions): Pull {
  const tag = newCanaryTag();
  const image = `${registry}/${CANARY_REPOSITORY}:${tag}`;
  return { client, registry, tag, image, commands: commandsOf(client, image, hasProgram) };
}

async function pullFindings(server: ServerClient, pulls: readonly Pull[], options: CanaryOptions): Promise<Finding[]> {
  const { pullBy, signal } = options;
  if (pulls.length === 0 && pullBy === 'none') return [];
  if (pulls.length === 0) {
    const about = { id: 'canary.pull', what: 'clients', found: 'no client of this machine names the server' } as const;
    return [failed(about, 'Set one up with `entrepot setup NAME --apply`, or name the one to try with --client NAME.')];
  }
  if (pullBy === 'wait') return await awaitPulls(server, pulls, options);
  if (pullBy === 'none') {
    const what = pulls.map(({ client }) => client).join(', ');
    return [skipped({ id: 'canary.pull', what, found: 'no pull was tried' }, NOT_TRIED)];
  }
  const findings: Finding[] = [];
  for (const pull of pulls) {
    signal?.throwIfAborted();
    const { client, image, commands } = pull;
    if (commands === undefined) {
      const about = {
        id: 'canary.pull',
        what: client,
        found: 'this command cannot start a pull of this client',
      } as const;
      findings.push(skipped(about, `Use --wait, and then run: ${manualPull(client, image, commands)}`));
    } else findings.push(await runPull(server, { ...pull, commands }, options));
  }
  return findings;
}

const NOT_TRIED =
  'Prove that a pull comes to this server: `entrepot doctor --run` pulls an image of 2 KB and removes it again; with --wait, you pull.';

async function runPull(
  server: ServerClient,
  pull: Pull & { readonly commands: ClientCommands },
  { timeout, signal }: CanaryOptions,
): Promise<Finding> {
  const { client, tag, commands } = pull;
  const about = { id: 'canary.pull', what: client } as const;
  const pulled = await runCommand(commands.pull, { timeout, signal });
  const shown = pulled.code === 0 ? (await runCommand(commands.show, { timeout, signal })).output : '';
  // Whatever the signal says: what this command created, it removes.
  if (pulled.code === 0) await runCommand(commands.remove, { timeout });
  signal?.throwIfAborted();
  const view = await server.canary(tag);
  if (typeof view === 'string') {
    return failed(
      { ...about, found: `the server did not answer after the pull: ${view}` },
      'See the findings on the server.',
    );
  }
  return judgePull(about, { pulled, shown, view, server: server.url });
}

/** A client that has to log in is refused first, and asks again with a token. */
function isAnswered({ refused }: CanaryView['requests'][number]): boolean {
  return refused !== true;
}

const LOG_IN =
  'Correct the login of the client for this server, or log it out: any valid login can pull the canary, and so can a client without one (docs/access.md).';

/** How clients say that they cannot reach their own service. */
const NOT_REACHED =
  /permission denied|cannot connect to the docker daemon|dial unix|connect: no such file|failed to dial|must be root|validate CRI/i;

/** What a pull proves. Pure. */
export function judgePull(
  about: { readonly id: 'canary.pull'; readonly what: string },
  {
    pulled,
    shown,
    view,
    server,
  }: {
    readonly pulled: { readonly code: number | undefined; readonly text: string; readonly reason?: string | undefined };
    /** What the client shows of the image that it stored. */
    readonly shown: string;
    readonly view: CanaryView;
    readonly server: string;
  },
): Finding {
  const { code, text, reason } = pulled;
  const came = view.requests.some(isAnswered);
  if (code === 0 && came && shown.includes(view.digest)) return ok({ ...about, found: describeArrival(view) });
  if (code === 0) {
    return failed(
      { ...about, found: 'it pulled a canary of another server' },
      `Another entrepot answers its pulls: see which server its files name; \`${setupCommand(about.what, server)}\` shows the change to this one.`,
    );
  }
  if (reason === 'not-found') return skipped({ ...about, found: `it is not installed: ${text}` });
  if (came) {
    return failed(
      { ...about, found: `it asked the server, and did not take the image: ${text}` },
      'See the message of the client, and docs/troubleshooting.md; the log of the server has the request.',
    );
  }
  if (view.requests.length > 0) {
    return failed({ ...about, found: `it asked the server, which refused it: ${text}` }, LOG_IN);
  }
  if (NOT_REACHED.test(text)) {
    return skipped(
      { ...about, found: `it could not be asked to pull: ${text}` },
      'Start its service, and run this command as a user who may pull with it (sudo).',
    );
  }
  const why = reason === 'timeout' ? 'the pull did not end in time' : text;
  return failed(
    { ...about, found: `it did not ask this server: it went to the registry itself, where no canary is (${why})` },
    `Point it at the server: \`${setupCommand(about.what, server)}\` shows the change, --apply makes it; then restart the client.`,
  );
}

/** Milliseconds between looks for a pull that a person starts. */
const LOOK_EVERY = 500;

async function awaitPulls(
  server: ServerClient,
  pulls: readonly Pull[],
  { timeout, signal, onCommand }: CanaryOptions,
): Promise<Finding[]> {
  for (const { client, image, commands } of pulls) onCommand?.(manualPull(client, image, commands));
  const deadline = performance.now() + timeout;
  const arrived = new Map<string, CanaryView>();
  const refused = new Set<string>();
  for (;;) {
    for (const { tag } of pulls) {
      if (arrived.has(tag)) continue;
      const view = await server.canary(tag);
      if (typeof view === 'string' || view.requests.length === 0) continue;
      if (view.requests.some(isAnswered)) arrived.set(tag, view);
      else refused.add(tag);
    }
    if (arrived.size === pulls.length || performance.now() >= deadline) break;
    await sleep(LOOK_EVERY, undefined, signal === undefined ? {} : { signal });
  }
  return pulls.map(({ client, tag }) => {
    const view = arrived.get(tag);
    const about = { id: 'canary.pull', what: client } as const;
    if (view !== undefined) return ok({ ...about, found: describeArrival(view) });
    if (refused.has(tag)) return failed({ ...about, found: 'its pull came to the server, which refused it' }, LOG_IN);
    return failed(
      { ...about, found: `no pull of it came to the server within ${Math.round(timeout / 1000)} s` },
      `If you started the pull, the client does not use the server: \`${setupCommand(client, server.url)}\` shows the change, --apply makes it; then restart the client.`,
    );
  });
}

const NAMED_BY: Readonly<Record<string, string>> = {
  ns: 'named by ?ns=',
  host: 'named by the host',
  prefix: 'named by a prefix',
  path: 'named in the path',
  default: 'as the default registry',
};

function describeArrival({ requests }: CanaryView): string {
  const first = requests.find(isAnswered);
  if (first === undefined) return 'its pull came to the server';
  const { registry, namedBy, client, userAgent } = first;
  const from = client === '' ? 'a Unix socket' : client;
  const plain = (userAgent ?? 'no user agent').replace(/\p{Cc}/gu, '?');
  return `its pull came to the server, from ${from} (${plain}): ${registry}, ${NAMED_BY[namedBy] ?? namedBy}`;
}
