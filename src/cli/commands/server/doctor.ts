import { ControlError, callControl, controlSocketPath, OPERATIONS, type ServerStatus } from '../../../admin/index.ts';
import { SettingsError } from '../../../app/index.ts';
import { ConfigError, type LoadedConfig, loadConfig, parseDuration } from '../../../config/index.ts';
import {
  addressFindings,
  canaryFindings,
  diskFindings,
  type Finding,
  failed,
  type Login,
  loginFindings,
  ok,
  type PullBy,
  ServerClient,
  skipped,
  statusFindings,
} from '../../../doctor/index.ts';
import type { CommandOptions, Surroundings } from '../../command.ts';
import { reportErrors } from '../../errors.ts';
import { EXIT } from '../../exit-code.ts';
import { formatJson } from '../../format.ts';
import { withInterrupt } from '../../interrupt.ts';
import { type Output, processOutput, StatusLine } from '../../output.ts';
import { readPipedPassword } from '../../piped-password.ts';
import { readVersion } from '../../version.ts';
import { type ClientSurroundings, examineClients, isInstalled, LOCAL_CLIENTS } from './doctor-clients.ts';
import { formatFindings, summarizeFindings } from './doctor-text.ts';
import { upstreamsAndImage } from './doctor-upstreams.ts';

/** The options of `entrepot doctor`. */
export interface DoctorOptions extends CommandOptions {
  readonly image?: string | undefined;
  /** The URL of a server on another machine, or the one that clients of this machine use. */
  readonly server?: string;
  /** Starts a pull of the canary with each client. @default false */
  readonly run?: boolean;
  /** Waits for pulls of the canary that a person starts. @default false */
  readonly wait?: boolean;
  /** Only these clients. @default those that are installed */
  readonly client?: readonly string[];
  /** Logs in at the server as this user. @default as a client without a login */
  readonly user?: string;
  /** Reads the password of `user` from standard input. */
  readonly passwordStdin?: boolean;
  /** For each step, as written: `10s`. */
  readonly timeout?: string;
}

/** What a test puts in the place of the machine. */
export interface DoctorSurroundings extends Surroundings, ClientSurroundings {
  /** Whether a program is installed. @default searched in `PATH` */
  readonly hasProgram?: (name: string) => boolean;
  /** Where the password is read from. @default standard input */
  readonly stdin?: AsyncIterable<Buffer | string>;
}

/** Milliseconds for each step. */
const TIMEOUT = 10_000;
/** Milliseconds for a pull that a person starts, or that a client does. */
const PULL_TIMEOUT = 60_000;

/**
 * `entrepot doctor`: examines the server, its disk, clock and upstreams, an image, and the clients of this machine. It changes
 * nothing.
 *
 * @returns the exit code: failure where a finding is `failed`
 */
export async function doctor(options: DoctorOptions, surroundings: DoctorSurroundings = {}): Promise<number> {
  const { output = processOutput, isTerminal = process.stderr.isTTY, interrupt } = surroundings;
  const { json = false, run = false, wait = false } = options;
  const wrong = faultOf(options);
  if (wrong !== undefined) {
    output.err(`error: ${wrong}\n`);
    return EXIT.usage;
  }
  const login = await loginOf(options, surroundings.stdin ?? process.stdin);
  if (typeof login === 'string') {
    output.err(`error: ${login}\n`);
    return EXIT.usage;
  }
  const line = new StatusLine((text, how) => output.err(text, how));
  const progress = (text: string): void => {
    if (isTerminal && !json) line.draw(text);
  };
  const examine = async (signal: AbortSignal): Promise<number> => {
    const pullBy: PullBy = run ? 'run' : wait ? 'wait' : 'none';
    const timeout = timeoutOf(options) ?? TIMEOUT;
    const pullTimeout = timeoutOf(options) ?? PULL_TIMEOUT;
    const onCommand = (command: string): void => {
      line.clear();
      output.err(`Pull with: ${command}\n`);
    };
    try {
      const examination = { options, login, timeout, pullTimeout, pullBy, signal, progress, onCommand, surroundings };
      const { findings, code } = await new Examination(examination).run();
      line.clear();
      show(findings, { output, json });
      return code;
    } catch (error) {
      line.clear();
      if (signal.aborted) return EXIT.interrupted;
      throw error;
    }
  };
  return await reportErrors(output, () => withInterrupt(interrupt, examine));
}

function show(
  findings: readonly Finding[],
  { output, json }: { readonly output: Output; readonly json: boolean },
): void {
  if (json) {
    output.out(formatJson({ examinedAt: new Date().toISOString(), ...summarizeFindings(findings), findings }));
  } else output.out(formatFindings(findings));
}

/** What is wrong with the command line; undefined where nothing is. */
function faultOf(options: DoctorOptions): string | undefined {
  const { run, wait, server, user, passwordStdin = false } = options;
  if (user !== undefined && (user === '' || user.includes(':'))) return '--user is no name of a user';
  if (user !== undefined && !passwordStdin) {
    return '--user needs --password-stdin: other users of this machine could read a password on the command line';
  }
  if (user === undefined && passwordStdin) return '--password-stdin needs --user';
  if (run && wait) return '--run and --wait exclude each other: one pulls by itself, the other waits for you';
  if (options.timeout !== undefined && timeoutOf(options) === undefined) {
    return `--timeout ${options.timeout} is not a length of time; expected one such as 10s or 500ms`;
  }
  const unknown = (options.client ?? []).find((name) => !LOCAL_CLIENTS.some((client) => client === name));
  if (unknown !== undefined) return `--client ${unknown} is no client; expected ${LOCAL_CLIENTS.join(', ')}`;
  if (server === undefined) return undefined;
  const url = URL.parse(server);
  const isOrigin = url !== null && /^https?:$/.test(url.protocol) && url.pathname === '/' && !/[?#@]/.test(server);
  return isOrigin ? undefined : `--server ${server} is no address; expected one such as https://mirror.example.com`;
}

/** The login that the command line gives; the words what is wrong with it. */
async function loginOf(
  { user }: DoctorOptions,
  stdin: AsyncIterable<Buffer | string>,
): Promise<Login | string | undefined> {
  if (user === undefined) return undefined;
  const read = await readPipedPassword(stdin);
  return 'fault' in read ? read.fault : { user, password: read.password };
}

function timeoutOf({ timeout }: DoctorOptions): number | undefined {
  const parsed = timeout === undefined ? undefined : parseDuration(timeout);
  return parsed === undefined || parsed === 0 || parsed > 2 ** 31 - 1 ? undefined : parsed;
}

interface ExaminationParts {
  readonly options: DoctorOptions;
  readonly login: Login | undefined;
  readonly timeout: number;
  readonly pullTimeout: number;
  readonly pullBy: PullBy;
  readonly signal: AbortSignal;
  readonly progress: (text: string) => void;
  readonly onCommand: (command: string) => void;
  readonly surroundings: DoctorSurroundings;
}

/** One run of the command. What one step finds decides which others make sense. */
class Examination {
  readonly #parts: ExaminationParts;
  readonly #version = readVersion().version;
  readonly #findings: Finding[] = [];

  constructor(parts: ExaminationParts) {
    this.#parts = parts;
  }

  async run(): Promise<{ readonly findings: readonly Finding[]; readonly code: number }> {
    const { options } = this.#parts;
    const loaded = await this.#configuration();
    const isConfigWrong = loaded instanceof ConfigError;
    const status = options.server === undefined ? await this.#status(loaded) : undefined;
    const url = options.server ?? addressOf(status, isConfigWrong ? undefined : loaded);
    if (url === undefined && status !== undefined) {
      const found = `the server listens on ${status.listeners.join(', ') || 'no address'}`;
      const about = { id: 'server.address', what: 'server', found } as const;
      this.#findings.push(
        skipped(about, 'Name the address that clients use, that of the proxy in front of it, with --server.'),
      );
    }
    const answers = url !== undefined && (await this.#address(new URL(url).origin));
    if (!isConfigWrong && options.server === undefined) await this.#disk(loaded, status !== undefined);
    const server = url === undefined ? undefined : this.#clientOf(new URL(url).origin);
    try {
      if (answers && server !== undefined) this.#findings.push(...(await loginFindings(server, this.#parts.login)));
      if (!isConfigWrong) await this.#upstreams(loaded, { status, server: answers ? server : undefined });
      await this.#clients(server, { answers, publicUrls: isConfigWrong ? [] : loaded.config.publicUrl });
    } finally {
      await server?.close();
    }
    const isFailed = this.#findings.some(({ state }) => state === 'failed');
    return { findings: this.#findings, code: isConfigWrong ? EXIT.config : isFailed ? EXIT.failure : EXIT.ok };
  }

  /** The configuration, or its problems as findings. */
  async #configuration(): Promise<LoadedConfig | ConfigError> {
    const { options } = this.#parts;
    try {
      // Certificates and secrets of the server need not be readable to this command.
      const loaded = await loadConfig({ flags: options.flags, checkReferences: false });
      const found = loaded.source === 'defaults' ? 'no file: the defaults' : 'has no problem';
      // The server elsewhere has a configuration of its own.
      if (options.server === undefined) this.#findings.push(ok({ id: 'config.valid', what: loaded.source, found }));
      return loaded;
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      for (const found of error.message.split('\n')) {
        this.#findings.push(
          failed(
            { id: 'config.valid', what: 'configuration', found },
            'Correct it as the message says; `entrepot config validate` checks without starting.',
          ),
        );
      }
      return error;
    }
  }

  async #status(loaded: LoadedConfig | ConfigError): Promise<ServerStatus | undefined> {
    const { signal, timeout, progress } = this.#parts;
    const { cacheDir: dir } = loaded instanceof ConfigError ? loaded : { cacheDir: cacheDirOf(loaded) };
    const about = { id: 'server.running', what: 'server' } as const;
    if (dir === undefined) {
      const remedy = 'Name its address with --server URL, or its cache directory with --cache-dir.';
      this.#findings.push(skipped({ ...about, found: 'without a cache directory it has no control socket' }, remedy));
      return undefined;
    }
    progress('asking the server');
    try {
      const call = { input: {}, timeoutMs: timeout, signal };
      const status = await callControl(controlSocketPath(dir), OPERATIONS.status, call);
      this.#findings.push(...statusFindings(status, this.#version));
      return status;
    } catch (error) {
      signal.throwIfAborted();
      if (!(error instanceof ControlError)) throw error;
      this.#findings.push(failed({ ...about, found: error.message }, CONTROL_REMEDIES[error.code]));
      return undefined;
    }
  }

  /** Whether the server answers there. */
  async #address(url: string): Promise<boolean> {
    const { signal, timeout, progress } = this.#parts;
    progress(`connecting to ${url}`);
    const findings = await addressFindings(url, { timeout, signal });
    this.#findings.push(...findings);
    return findings.some(({ id, state }) => id === 'server.address' && state === 'ok');
  }

  async #disk({ config: { cache } }: LoadedConfig, isRunning: boolean): Promise<void> {
    if (cache === 'off') return;
    this.#findings.push(...(await diskFindings(cache.dir, { minFree: cache.minFree, isRunning })));
  }

  #clientOf(url: string): ServerClient {
    const { timeout, signal } = this.#parts;
    return new ServerClient(url, { timeout, signal, userAgent: `entrepot-doctor/${this.#version}` });
  }

  async #upstreams(
    loaded: LoadedConfig,
    { status, server }: { readonly status: ServerStatus | undefined; readonly server: ServerClient | undefined },
  ): Promise<void> {
    const { options, timeout, signal, progress } = this.#parts;
    const { image } = options;
    // With --server, the upstreams are that server's, and are reached from there.
    const examined = { image, status, server, isRemote: options.server !== undefined };
    try {
      this.#findings.push(...(await upstreamsAndImage(loaded, examined, { timeout, signal, progress })));
    } catch (error) {
      if (!(error instanceof SettingsError)) throw error;
      this.#findings.push(
        failed({ id: 'config.valid', what: loaded.source, found: error.message }, 'Correct it as the message says.'),
      );
    }
  }

  async #clients(
    server: ServerClient | undefined,
    { answers, publicUrls }: { readonly answers: boolean; readonly publicUrls: readonly string[] },
  ): Promise<void> {
    const { options, pullBy, pullTimeout, signal, progress, onCommand, surroundings } = this.#parts;
    if (server === undefined) return;
    // On its own machine, clients may name the server by any of its addresses.
    const others = options.server === undefined ? sameHost(server.url) : [];
    const [first = server.url, ...more] = options.server === undefined ? publicUrls : [];
    const { clients, findings } = examineClients([first, ...more, server.url, ...others], options.client, surroundings);
    this.#findings.push(...findings);
    if (!answers) {
      const found = 'the server does not answer, so nothing can be proved';
      const pulls = clients.map(({ client: what }) =>
        skipped({ id: 'canary.pull', what, found }, 'Start the server first.'),
      );
      this.#findings.push(...pulls);
      return;
    }
    progress('looking for the canary');
    const { hasProgram = isInstalled } = surroundings;
    const canary = { pullBy, timeout: pullTimeout, signal, hasProgram, onCommand };
    this.#findings.push(...(await canaryFindings(server, clients, canary)));
  }
}

/** The other names of an address of this machine. */
function sameHost(url: string): readonly string[] {
  const { protocol, port, hostname } = new URL(url);
  const names = ['127.0.0.1', 'localhost'];
  if (!names.includes(hostname)) return [];
  return names.map((name) => new URL(`${protocol}//${name}:${port}`).origin);
}

const CONTROL_REMEDIES: Readonly<Record<ControlError['code'], string>> = {
  'not-running':
    'Start it (`entrepot serve`, or `systemctl start entrepot`); if it uses another cache directory, name that with --cache-dir, ' +
    'and if it runs on another machine or in a container, its address with --server URL.',
  denied: 'Run this command as the user of the server, or name its address with --server URL.',
  'unknown-operation': 'Restart the server, so that it runs the version that is installed.',
  failed: 'See the log of the server; restart it if it does not answer.',
  timeout: 'The server is busy or hangs: see its log, and give it more time with --timeout.',
};

function cacheDirOf({ config: { cache } }: LoadedConfig): string | undefined {
  return cache === 'off' ? undefined : cache.dir;
}

/** The address that clients of this machine use: a listener of the running server, or of the configuration. */
function addressOf(status: ServerStatus | undefined, loaded: LoadedConfig | undefined): string | undefined {
  const listen = loaded?.config.listen ?? [];
  if (status !== undefined) {
    const redirecting = listen.flatMap(({ address, redirectToHttps }) =>
      redirectToHttps && 'port' in address ? [`:${address.port}`] : [],
    );
    return status.listeners
      .find((each) => !each.startsWith('unix:') && !redirecting.some((port) => each.endsWith(port)))
      ?.replace(/\/\/(?:\[::\]|0\.0\.0\.0):/, '//127.0.0.1:');
  }
  for (const { address, tls, redirectToHttps } of listen) {
    if ('path' in address || address.port === 0 || redirectToHttps) continue;
    const { host = '127.0.0.1', port } = address;
    const reachable = ['0.0.0.0', '::'].includes(host) ? '127.0.0.1' : host.includes(':') ? `[${host}]` : host;
    return `${tls === undefined ? 'http' : 'https'}://${reachable}:${port}`;
  }
  return undefined;
}
