import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { goTool, isBuilt } from '../../test/support/go-tools.ts';
import { freePort, type RunningProcess, readIfThere, type Workspace } from '../../test/support/processes.ts';
import type { Peer } from './figures.ts';
import { type Cores, isInstalled } from './machine.ts';

/** A server under measurement. */
export interface Subject {
  /** As the table says it. */
  readonly name: string;
  readonly peer?: Peer;
  /** The entrepot of another checkout: no goal is its own. */
  readonly isBeside?: boolean;
  /** `http://127.0.0.1:PORT` */
  readonly url: string;
  readonly process: RunningProcess;
}

/** Where subjects are started: in this workspace, on the server's core. */
export interface Place {
  readonly workspace: Workspace;
  readonly cores: Cores | undefined;
}

export interface EntrepotOptions {
  /** URL of the only registry it is to know. */
  readonly upstream: string;
  /** @default 'entrepot' */
  readonly name?: string;
  /** A line for each request, as users have it; the peers run without. @default false */
  readonly accessLog?: boolean;
  /** Cache directory. @default a new one */
  readonly dir?: string;
  /** @default one that is free */
  readonly port?: number;
  /** Directory of the checkout. @default this one */
  readonly checkout?: string;
  /** Other parts of the configuration; they go before. */
  readonly config?: Readonly<Record<string, unknown>>;
}

/** The name of the entrepot of another checkout. */
export const BESIDE = 'entrepot beside';

export const BIN = fileURLToPath(new URL('../../bin/entrepot', import.meta.url));
const PEERS = new URL('../peers/', import.meta.url);

/** What of the peers is not installed, each with the command that gets it. */
export function missingPrograms(): readonly string[] {
  const packages = {
    'docker-registry': 'docker-registry',
    nginx: 'nginx-light',
    squid: 'squid',
    wrk: 'wrk',
    skopeo: 'skopeo',
    ctr: 'containerd',
    taskset: 'util-linux',
  };
  return Object.entries(packages)
    .filter(([program]) => !isInstalled(program))
    .map(([program, name]) => `${program} (apt-get install ${name})`);
}

/** Starts entrepot as a user would, on the server's core. */
export async function startEntrepot(place: Place, options: EntrepotOptions): Promise<Subject> {
  const { workspace } = place;
  const { name = 'entrepot' } = options;
  const { command, url, env } = await entrepotCommand(workspace, options);
  const process = await start(place, command, { url: `${url}/healthz`, env });
  return { name, url, process };
}

/** Starts entrepot, and that of another checkout where one is to be measured beside it. */
export async function startEntrepots(
  place: Place,
  { beside, ...options }: EntrepotOptions & { readonly beside: string | undefined },
): Promise<readonly Subject[]> {
  const ours = await startEntrepot(place, options);
  if (beside === undefined) return [ours];
  const name = options.name === undefined ? BESIDE : `${options.name}, beside`;
  return [ours, { ...(await startEntrepot(place, { ...options, name, checkout: beside })), isBeside: true }];
}

/** Writes a configuration for entrepot, and says how to start it. */
export async function entrepotCommand(
  workspace: Workspace,
  { upstream, accessLog = false, port: given, dir: cacheDir, checkout, config: more = {} }: EntrepotOptions,
): Promise<{ readonly command: readonly string[]; readonly url: string; readonly env: NodeJS.ProcessEnv }> {
  const port = given ?? (await freePort());
  const config = {
    listen: `127.0.0.1:${port}`,
    log: { level: 'info', format: 'json', access: accessLog },
    cache: { dir: cacheDir ?? workspace.path(`cache-${port}`) },
    registries: { origin: { upstreams: [upstream] } },
    default_registry: 'origin',
    ...more,
  };
  // JSON is YAML.
  const file = await workspace.file(`entrepot-${port}.yaml`, JSON.stringify(config));
  // HOME: nothing of the user who runs the bench is to be found.
  return {
    command: ['sh', checkout === undefined ? BIN : join(checkout, 'bin', 'entrepot'), 'serve', '--config', file],
    url: `http://127.0.0.1:${port}`,
    env: { ...process.env, HOME: workspace.dir },
  };
}

/** Starts docker-registry as a pull-through cache; undefined where it is not installed. */
export async function startRegistryMirror(place: Place, upstream: string): Promise<Subject | undefined> {
  if (!isInstalled('docker-registry')) return undefined;
  return await startMirror(place, { ...REGISTRY, upstream });
}

/** Starts distribution 3 as a pull-through cache; undefined where it was not built. */
export async function startDistributionMirror(place: Place, upstream: string): Promise<Subject | undefined> {
  if (!isBuilt('distribution')) return undefined;
  return await startMirror(place, { ...distribution(), upstream });
}

/** A program that is CNCF Distribution. */
interface DistributionProgram {
  readonly program: string;
  readonly name: string;
  readonly peer: Peer;
}

const REGISTRY: DistributionProgram = {
  program: 'docker-registry',
  name: 'docker-registry',
  peer: 'docker-registry',
};

function distribution(): DistributionProgram {
  return { program: goTool('distribution'), name: 'distribution 3', peer: 'distribution' };
}

async function startMirror(
  place: Place,
  { program, name, peer, upstream }: DistributionProgram & { readonly upstream: string },
): Promise<Subject> {
  const { workspace } = place;
  const address = `127.0.0.1:${await freePort()}`;
  const dir = workspace.path(`registry-${address.split(':')[1]}`);
  await mkdir(dir);
  const config = await fillTemplate('docker-registry.yml', { DIR: dir, ADDRESS: address, UPSTREAM: upstream });
  const command = [program, 'serve', await workspace.file(`${dir}.yml`.slice(workspace.dir.length), config)];
  const url = `http://${address}`;
  return { name, peer, url, process: await start(place, command, { url: `${url}/v2/`, env: quietEnv() }) };
}

/** Starts docker-registry as a registry that takes pushes; undefined where it is not installed. */
export async function startRegistry(place: Place): Promise<Subject | undefined> {
  if (!isInstalled('docker-registry')) return undefined;
  return await startPushed(place, REGISTRY);
}

/** Starts distribution 3, which docker-registry is version 2 of; undefined where it was not built. */
export async function startDistribution(place: Place): Promise<Subject | undefined> {
  if (!isBuilt('distribution')) return undefined;
  return await startPushed(place, distribution());
}

async function startPushed(place: Place, { program, name, peer }: DistributionProgram): Promise<Subject> {
  const { workspace } = place;
  const address = `127.0.0.1:${await freePort()}`;
  const dir = workspace.path(`pushed-${address.split(':')[1]}`);
  await mkdir(dir);
  const config = await fillTemplate('docker-registry-pushed.yml', { DIR: dir, ADDRESS: address });
  const command = [program, 'serve', await workspace.file(`${dir}.yml`.slice(workspace.dir.length), config)];
  const url = `http://${address}`;
  return { name, peer, url, process: await start(place, command, { url: `${url}/v2/`, env: quietEnv() }) };
}

/** Distribution 3 sends traces unless it is told not to. */
function quietEnv(): NodeJS.ProcessEnv {
  return { ...process.env, OTEL_TRACES_EXPORTER: 'none' };
}

/** Starts squid as a forward proxy that caches nothing; undefined where it is not installed. */
export async function startSquid(place: Place): Promise<Subject | undefined> {
  if (!isInstalled('squid')) return undefined;
  const { workspace } = place;
  const port = await freePort();
  const config = await fillTemplate('squid.conf', { PORT: String(port) });
  const file = await workspace.file(`squid-${port}.conf`, config);
  const url = `http://127.0.0.1:${port}`;
  // In the foreground, one process; by a name of its own, or it would share memory with another that runs here.
  const running = await start(place, ['squid', '-N', '-n', `bench${port}`, '-f', file], { url: `${url}/` });
  return { name: 'squid', peer: 'squid', url, process: running };
}

/** nginx in its roles, one worker. */
export interface Nginx {
  /** Sends files with sendfile. */
  readonly files: Subject;
  /** Stands before another server with proxy_cache. */
  readonly cache: Subject;
  /** The same, without a cache. */
  readonly pass: Subject;
}

/** Starts nginx; undefined where it is not installed. */
export async function startNginx(
  place: Place,
  { upstream, files }: { readonly upstream: string; readonly files: string },
): Promise<Nginx | undefined> {
  if (!isInstalled('nginx')) return undefined;
  const { workspace } = place;
  const [filesPort, cachePort, passPort] = [await freePort(), await freePort(), await freePort()];
  const dir = workspace.path(`nginx-${filesPort}`);
  await mkdir(dir);
  const config = await fillTemplate('nginx.conf', {
    DIR: dir,
    // As root, the worker would run as another user and could not read the workspace.
    USER: process.getuid?.() === 0 ? 'user root;' : '',
    UPSTREAM: new URL(upstream).host,
    STATIC_PORT: String(filesPort),
    CACHE_PORT: String(cachePort),
    PASS_PORT: String(passPort),
    ROOT: files,
  });
  const file = await workspace.file(`nginx-${filesPort}.conf`, config);
  const url = `http://127.0.0.1:${filesPort}`;
  const running = await start(place, ['nginx', '-e', 'stderr', '-p', dir, '-c', file], { url: `${url}/` });
  return {
    files: { name: 'nginx sendfile', peer: 'nginx', url, process: running },
    cache: { name: 'nginx proxy_cache', peer: 'nginx', url: `http://127.0.0.1:${cachePort}`, process: running },
    pass: { name: 'nginx proxy_pass', peer: 'nginx', url: `http://127.0.0.1:${passPort}`, process: running },
  };
}

/** The words of a template are all to be filled in, and all given are to be used. */
export async function fillTemplate(name: string, values: Readonly<Record<string, string>>): Promise<string> {
  const text = await readFile(new URL(name, PEERS), 'utf8');
  const unused = new Set(Object.keys(values));
  const filled = text.replace(/^(?!\s*#).*$/gm, (line) =>
    line.replace(/@([A-Z_]+)@/g, (_, word: string) => {
      const value = values[word];
      if (value === undefined) throw new RangeError(`bench/peers/${name} has @${word}@, and nothing is given for it`);
      unused.delete(word);
      return value;
    }),
  );
  if (unused.size > 0) throw new RangeError(`bench/peers/${name} does not use ${[...unused].join(', ')}`);
  return filled;
}

export interface StartOptions {
  /** Answers when the program is ready, whatever it says. */
  readonly url: string;
  readonly env?: NodeJS.ProcessEnv;
}

/**
 * Starts a program on the server's core. What it writes goes into a file: read through a pipe, it would be work for the core
 * of the clients.
 */
export async function start(
  { workspace, cores }: Place,
  command: readonly string[],
  { url, env = process.env }: StartOptions,
): Promise<RunningProcess> {
  const log = workspace.path(`${new URL(url).port}.log`);
  const core = cores === undefined ? [] : ['taskset', '--cpu-list', String(cores.server)];
  // `exec` all the way: the process that is measured is the one that was started.
  const whole = [...core, 'sh', '-c', 'log=$1; shift; exec "$@" >"$log" 2>&1', 'sh', log, ...command];
  try {
    return await workspace.start(whole, {
      env: { ...env, PATH: `${env['PATH'] ?? ''}:/usr/sbin:/sbin` },
      ready: async () => (await fetch(url)).status > 0,
    });
  } catch (error) {
    const said = (await readIfThere(log)).slice(-2000);
    throw new Error(`Cannot start ${command.join(' ')}:\n${said}`, { cause: error });
  }
}
