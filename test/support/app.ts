import { randomUUID } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import type { RunningProcess, Workspace } from './processes.ts';

/** One line of the server's JSON log. */
export interface LogLine {
  readonly level: string;
  readonly msg: string;
  readonly [key: string]: unknown;
}

/** An access log line (`msg` is `request`). */
export interface AccessLine extends LogLine {
  readonly method: string;
  readonly path: string;
  readonly status: number;
  readonly bytes: number;
  readonly registry?: string;
  readonly repository?: string;
  readonly upstream?: string;
  readonly cache?: string;
}

/** A server under test, as a user would run it: a child process with a configuration file. */
export interface RunningEntrepot {
  /** `http://127.0.0.1:PORT` */
  readonly url: string;
  /** `127.0.0.1:PORT` */
  readonly host: string;
  readonly port: number;
  /** The cache directory. */
  readonly dir: string;
  readonly process: RunningProcess;
  /** Every JSON line it logged so far. */
  logs(): LogLine[];
  /** The access log so far, oldest first; health checks and the like left out. */
  accessLog(): AccessLine[];
  /** SIGTERM, and the exit code once it has drained. */
  stop(): Promise<number>;
}

export interface StartEntrepotOptions {
  readonly env?: NodeJS.ProcessEnv;
  /** Arguments after `serve --config FILE`. */
  readonly args?: readonly string[];
  /** A cache directory to go on with. @default a new one in the workspace */
  readonly dir?: string;
}

/** The command, as a checkout has it. */
export const ENTREPOT = fileURLToPath(new URL('../../bin/entrepot', import.meta.url));

/**
 * Starts `entrepot serve` on a free port and waits until it listens. The configuration is what the test is about;
 * address, cache directory and log format are given unless it names them.
 */
export async function startEntrepot(
  workspace: Workspace,
  config: Readonly<Record<string, unknown>> = {},
  options: StartEntrepotOptions = {},
): Promise<RunningEntrepot> {
  const id = randomUUID().slice(0, 8);
  const dir = options.dir ?? workspace.path(`cache-${id}`);
  await mkdir(dir, { recursive: true, mode: 0o700 });
  const cache = config['cache'] ?? {};
  const whole = {
    listen: '127.0.0.1:0',
    log: { level: 'debug', format: 'json' },
    ...config,
    // `off` stays off; what is given of the cache's settings keeps its directory.
    cache: typeof cache === 'object' ? { dir, ...cache } : cache,
  };
  // JSON is YAML.
  const file = await workspace.file(`entrepot-${id}.yaml`, JSON.stringify(whole, null, 2));
  const env = { ...(options.env ?? process.env), HOME: workspace.dir, NODE_NO_WARNINGS: '1' };
  const started = await workspace.start(['sh', ENTREPOT, 'serve', '--config', file, ...(options.args ?? [])], {
    env,
    ready: (running) => listening(running) !== undefined,
  });
  const host = listening(started) as string;
  return {
    url: `http://${host}`,
    host,
    port: Number(host.split(':').at(-1)),
    dir,
    process: started,
    logs: () => readLog(started),
    accessLog: () =>
      readLog(started).filter((line): line is AccessLine => line.msg === 'request' && line['route'] === 'registry'),
    stop: () => started.stop({ graceMs: 40_000 }),
  };
}

/** The address of the first listener; undefined until it is there. */
function listening(process: RunningProcess): string | undefined {
  const address = readLog(process).find((line) => line.msg === 'listening')?.['address'];
  return typeof address === 'string' ? address : undefined;
}

/** The log is on standard output or standard error; what is not JSON (a start-up greeting) is left out. */
function readLog(process: RunningProcess): LogLine[] {
  return process
    .output()
    .split('\n')
    .filter((line) => line.startsWith('{') && line.endsWith('}'))
    .map((line) => JSON.parse(line) as LogLine);
}
