import { type ChildProcess, spawn } from 'node:child_process';
import { accessSync, constants, readFileSync, rmSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, writeFile } from 'node:fs/promises';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { delimiter, dirname, isAbsolute, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

/** A started program: what it said, and how to end it. */
export interface RunningProcess {
  readonly name: string;
  readonly pid: number;
  /** Standard output and error so far, as they came. */
  readonly output: () => string;
  /** Lines of standard output so far. */
  readonly lines: () => string[];
  /** Resolves with the exit code (128 + number after a signal) when it has ended. */
  readonly exited: Promise<number>;
  /** SIGTERM, and SIGKILL to the whole process group after `graceMs`. @default graceMs 10000 */
  readonly stop: (options?: { readonly graceMs?: number }) => Promise<number>;
  readonly kill: (signal: NodeJS.Signals) => void;
}

export interface StartOptions {
  /** In place of the environment of the test. */
  readonly env?: NodeJS.ProcessEnv;
  /** Asked until it holds; rejects are "not yet". */
  readonly ready: (process: RunningProcess) => boolean | Promise<boolean>;
  /** Milliseconds to become ready. @default 30000 */
  readonly within?: number;
}

export interface RunOptions {
  readonly env?: NodeJS.ProcessEnv;
  /** Milliseconds until it is killed. @default 120000 */
  readonly timeout?: number;
  readonly input?: string;
}

export interface RunResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** What is alive and must not outlive the tests, however they end. */
const running = new Set<ChildProcess>();
const directories = new Set<string>();
let sweeping = false;

/**
 * A directory and the processes of one test. Closing it stops them, newest first, and removes the directory; if the
 * test process ends before that, they are killed with it.
 */
export class Workspace {
  readonly dir: string;
  readonly #ends: (() => Promise<unknown>)[] = [];

  private constructor(dir: string) {
    this.dir = dir;
  }

  /** @param parent where the directory is made; see `memoryDirectory()`. @default the one for temporary files */
  static async open(parent = tmpdir()): Promise<Workspace> {
    sweepAtExit();
    // Short: a Unix socket's path may have about 100 bytes.
    const dir = await mkdtemp(join(parent, 'entrepot-'));
    directories.add(dir);
    return new Workspace(dir);
  }

  path(...parts: string[]): string {
    return join(this.dir, ...parts);
  }

  /** Writes a file under the directory, with the folders it needs, and returns its path. */
  async file(name: string, text: string | Buffer): Promise<string> {
    const path = this.path(name);
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, text);
    return path;
  }

  /** Starts a program that stays, and waits until it is ready. */
  async start(command: readonly string[], options: StartOptions): Promise<RunningProcess> {
    const process = launch(command, options.env);
    this.defer(() => process.stop());
    await untilReady(process, options);
    return process;
  }

  /** Runs at the end, before everything that was started earlier ends. */
  defer(end: () => Promise<unknown>): void {
    this.#ends.push(end);
  }

  async close(): Promise<void> {
    const failures: unknown[] = [];
    for (const end of this.#ends.splice(0).toReversed()) await end().catch((error: unknown) => failures.push(error));
    await removeTree(this.dir);
    directories.delete(this.dir);
    if (failures.length > 0) throw new AggregateError(failures, `Cannot end all that was started in ${this.dir}`);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

/** Runs a program to its end. */
export async function run([program = '', ...args]: readonly string[], options: RunOptions = {}): Promise<RunResult> {
  const child = spawn(program, args, { env: options.env ?? process.env, stdio: 'pipe', detached: true });
  running.add(child);
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  child.stdin.on('error', () => undefined);
  child.stdin.end(options.input);
  const timer = setTimeout(() => {
    stderr += `\n(killed: it ran for more than ${options.timeout ?? 120_000} ms)`;
    signalGroup(child, 'SIGKILL');
  }, options.timeout ?? 120_000);
  try {
    return { code: await ended(child, 'close'), stdout, stderr };
  } finally {
    clearTimeout(timer);
    running.delete(child);
  }
}

/** Runs a program that must succeed, and returns its standard output. */
export async function check(command: readonly string[], options: RunOptions = {}): Promise<string> {
  const { code, stdout, stderr } = await run(command, options);
  if (code !== 0) throw new Error(`${command.join(' ')} ended with ${code}:\n${stdout}${stderr}`);
  return stdout;
}

function launch([program = '', ...args]: readonly string[], env: NodeJS.ProcessEnv = process.env): RunningProcess {
  // A group of its own: engines start helpers, which are to go with them.
  const child = spawn(program, args, { env, stdio: ['ignore', 'pipe', 'pipe'], detached: true });
  running.add(child);
  let stdout = '';
  let all = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
    all += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => (all += text));
  const exited = ended(child, 'exit')
    .catch((error: unknown) => {
      all += String(error);
      return 127;
    })
    .finally(() => running.delete(child));
  return {
    name: program,
    pid: child.pid ?? 0,
    output: () => all,
    lines: () => stdout.split('\n').slice(0, -1),
    exited,
    kill: (signal) => void child.kill(signal),
    async stop({ graceMs = 10_000 } = {}) {
      child.kill('SIGTERM');
      const timer = setTimeout(() => signalGroup(child, 'SIGKILL'), graceMs);
      const code = await exited;
      clearTimeout(timer);
      return code;
    },
  };
}

async function untilReady(process: RunningProcess, { ready, within = 30_000 }: StartOptions): Promise<void> {
  const state: { code?: number } = {};
  void process.exited.then((code) => (state.code = code));
  const deadline = Date.now() + within;
  while (state.code === undefined && Date.now() < deadline) {
    try {
      if (await ready(process)) return;
    } catch {
      // Not yet: a refused connection, a file that is not there.
    }
    await sleep(50);
  }
  const why = state.code === undefined ? `was not ready within ${within} ms` : `ended with ${state.code}`;
  throw new Error(`${process.name} ${why}:\n${process.output().slice(-4000)}`);
}

function ended(child: ChildProcess, event: 'exit' | 'close'): Promise<number> {
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on(event, (code: number | null) => resolve(code ?? 128));
  });
}

function signalGroup(child: ChildProcess, signal: NodeJS.Signals): void {
  if (child.pid === undefined) return;
  try {
    process.kill(-child.pid, signal);
  } catch {
    // It went by itself.
  }
}

/** Removes a directory, and first whatever an engine left mounted in it. */
async function removeTree(dir: string): Promise<void> {
  for (const mount of mountsUnder(dir)) await run(['umount', '--lazy', mount]);
  rmSync(dir, { recursive: true, force: true, maxRetries: 3 });
}

/** Mount points below a directory, deepest first (proc(5), mountinfo). */
function mountsUnder(dir: string): string[] {
  try {
    const lines = readFileSync('/proc/self/mountinfo', 'utf8').split('\n');
    const points = lines.map((line) => line.split(' ')[4] ?? '');
    return points.filter((point) => point.startsWith(`${dir}/`)).sort((a, b) => b.length - a.length);
  } catch {
    return [];
  }
}

/** A test that is interrupted must not leave engines behind. */
function sweepAtExit(): void {
  if (sweeping) return;
  sweeping = true;
  process.on('exit', () => {
    for (const child of running) signalGroup(child, 'SIGKILL');
    for (const dir of directories) if (mountsUnder(dir).length === 0) rmSync(dir, { recursive: true, force: true });
  });
  for (const [signal, number] of [
    ['SIGINT', 2],
    ['SIGTERM', 15],
  ] as const) {
    process.on(signal, () => process.exit(128 + number));
  }
}

/** A port that was free a moment ago, for programs that cannot choose one themselves. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** The text of a file, empty where there is none yet. */
export async function readIfThere(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch {
    return '';
  }
}

/** What installs each tool a test may need: a package of Debian, or a command of its own. */
const PACKAGES = {
  '/usr/aarch64-linux-gnu/lib/libatomic.so.1': 'libatomic1-arm64-cross',
  '/usr/aarch64-linux-gnu/lib/libstdc++.so.6': 'libstdc++6-arm64-cross',
  buildah: 'buildah',
  caddy: 'caddy',
  chromium: 'chromium',
  containerd: 'containerd',
  ctr: 'containerd',
  curl: 'curl',
  docker: 'docker.io',
  'docker-registry': 'docker-registry',
  dockerd: 'docker.io',
  'docker-compose': 'docker-compose',
  git: 'git',
  haproxy: 'haproxy',
  hf: 'pip install huggingface_hub',
  'kubernetes-validate': 'pip install kubernetes-validate',
  nginx: 'nginx-light',
  npm: 'npm',
  openssl: 'openssl',
  podman: 'podman',
  prometheus: 'prometheus',
  promtool: 'prometheus',
  'qemu-aarch64-static':
    'apt-get install qemu-user-static libc6-arm64-cross libstdc++6-arm64-cross libatomic1-arm64-cross',
  runc: 'runc',
  schemathesis: 'pip install schemathesis',
  skopeo: 'skopeo',
  ss: 'iproute2',
  strace: 'strace',
  'systemd-analyze': 'systemd',
  unbound: 'unbound',
  unshare: 'util-linux',
} as const satisfies Record<string, string>;

/** What a test may need of the machine: a program, or to be root. */
export type Need = keyof typeof PACKAGES | 'root';

/**
 * Options for a test that needs tools of the machine: it is skipped where one is missing, and says how to get it. With
 * `CI` in the environment nothing may be missing, and this throws; but for what `TEST_WITHOUT` names, with commas,
 * since it could not be had.
 */
export function needs(...tools: readonly Need[]): { skip?: string } {
  const missing = tools.filter((tool) => (tool === 'root' ? process.getuid?.() !== 0 : !isInstalled(tool)));
  if (missing.length === 0) return {};
  const sources = [...new Set(missing.flatMap((tool) => (tool === 'root' ? [] : [PACKAGES[tool]])))];
  const packages = sources.filter((source) => !source.includes(' '));
  const remedies = [
    ...(packages.length > 0 ? [`apt-get install ${packages.join(' ')}`] : []),
    ...sources.filter((source) => source.includes(' ')),
    ...(missing.includes('root') ? ['run as root'] : []),
  ];
  const reason = `needs ${missing.join(', ')}: ${remedies.join(', and ')}`;
  const without = (process.env['TEST_WITHOUT'] ?? '').split(',');
  if (process.env['CI'] && missing.some((tool) => !without.includes(tool)))
    throw new Error(`In CI every test runs, but one ${reason}`);
  return { skip: reason };
}

/** Whether a program is on the PATH, or where the system keeps those for root; for an absolute path, whether the file is there. */
export function isInstalled(tool: string): boolean {
  const isFile = isAbsolute(tool);
  const folders = isFile ? [''] : [...(process.env['PATH'] ?? '').split(delimiter), '/usr/sbin', '/sbin'];
  return folders.some((folder) => {
    try {
      accessSync(join(folder, tool), isFile ? constants.R_OK : constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}
