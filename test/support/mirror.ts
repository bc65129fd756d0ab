import { mkdir } from 'node:fs/promises';
import { get } from 'node:http';
import { type App, startApp } from '../../src/app/app.ts';
import type { ReloadAnswer } from '../../src/app/reload.ts';
import { type ConfigFlags, type LoadedConfig, loadConfig } from '../../src/config/index.ts';
import { createLog } from '../../src/telemetry/index.ts';
import type { AccessLine, LogLine } from './app.ts';
import { Workspace } from './processes.ts';
import { type RawRequest, type RawResponse, rawRequest } from './raw-request.ts';

/** The whole server in the process of the test: configuration, cache, sockets and all, without a command line. */
export interface Mirror extends AsyncDisposable {
  /** `127.0.0.1:PORT` */
  readonly host: string;
  /** `http://127.0.0.1:PORT` */
  readonly url: string;
  /** The cache directory. */
  readonly dir: string;
  readonly app: App;
  /** Reloads with another configuration, given as to {@link startMirror}; without one, with the same. */
  reload(config?: Readonly<Record<string, unknown>>): Promise<ReloadAnswer>;
  /** Every line logged so far, level debug. */
  readonly log: readonly LogLine[];
  /** Lines about requests to the registry API, oldest first. */
  accessLog(): AccessLine[];
  /** Resolves when `count` lines fit that were logged by then, before or from now on; gives the last of them. */
  logged(fits: (line: LogLine) => boolean, options?: { readonly count?: number }): Promise<LogLine>;
  get(path: string, headers?: RawRequest['headers']): Promise<RawResponse>;
  head(path: string, headers?: RawRequest['headers']): Promise<RawResponse>;
  /** Stops it, and removes the directory unless the test named it. */
  stop(): Promise<void>;
}

export interface MirrorOptions {
  readonly flags?: ConfigFlags;
  /** A cache directory to go on with, which stays. @default a new one */
  readonly dir?: string;
}

/**
 * Starts the server from a configuration as a file would have it. Address and cache directory are given unless the
 * configuration names them; the log is collected, whatever it says of the log.
 */
export async function startMirror(
  config: Readonly<Record<string, unknown>> = {},
  options: MirrorOptions = {},
): Promise<Mirror> {
  const workspace = await Workspace.open();
  try {
    return await startIn(workspace, config, options);
  } catch (error) {
    await workspace.close();
    throw error;
  }
}

async function startIn(
  workspace: Workspace,
  config: Readonly<Record<string, unknown>>,
  options: MirrorOptions,
): Promise<Mirror> {
  const dir = options.dir ?? workspace.path('cache');
  await mkdir(dir, { recursive: true, mode: 0o700 });
  let current = config;
  function load(): Promise<LoadedConfig> {
    const cache = current['cache'] ?? {};
    const whole = {
      listen: '127.0.0.1:0',
      ...current,
      cache: typeof cache === 'object' ? { dir, ...cache } : cache,
      log: current === config ? { level: 'debug' } : { level: 'debug', ...(current['log'] as object | undefined) },
    };
    return loadConfig({
      flags: options.flags ?? {},
      // JSON is YAML. What a configuration takes from variables it takes from this process's own.
      env: { ...process.env, ENTREPOT_CONFIG: JSON.stringify(whole) },
      cwd: workspace.dir,
    });
  }
  const journal = new LogJournal();
  const log = createLog({ level: 'debug', stream: journal });
  const app = await startApp(await load(), { log, version: '0.0.0-test', load });
  const host = app.listeners[0]?.address ?? '';

  let stopped: Promise<void> | undefined;
  async function stop(): Promise<void> {
    await app.stop();
    await workspace.close();
  }
  const mirror: Mirror = {
    host,
    url: `http://${host}`,
    dir,
    app,
    reload(next = current) {
      current = next;
      return app.reload();
    },
    log: journal.lines,
    accessLog: () =>
      journal.lines.filter((line): line is AccessLine => line.msg === 'request' && line['route'] === 'registry'),
    logged: (fits, { count = 1 } = {}) => journal.logged(fits, count),
    get: (path, headers = {}) => rawRequest(host, { path, headers }),
    head: (path, headers = {}) => rawRequest(host, { method: 'HEAD', path, headers }),
    stop: () => (stopped ??= stop()),
    [Symbol.asyncDispose]: () => mirror.stop(),
  };
  return mirror;
}

/** How long something may take that is bound to happen. */
const PATIENCE_MS = 90_000;

/** What was logged, and who waits for more. */
class LogJournal {
  readonly lines: LogLine[] = [];
  readonly #watchers = new Set<() => void>();

  write(text: string): void {
    this.lines.push(JSON.parse(text) as LogLine);
    for (const look of this.#watchers) look();
  }

  logged(fits: (line: LogLine) => boolean, count: number): Promise<LogLine> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#watchers.delete(look);
        const last = this.lines.slice(-20).map((line) => JSON.stringify(line));
        reject(new Error(`Cannot find in the log what was waited for; it ends with\n${last.join('\n')}`));
      }, PATIENCE_MS);
      const look = (): void => {
        const line = this.lines.filter(fits)[count - 1];
        if (line === undefined) return;
        this.#watchers.delete(look);
        clearTimeout(timer);
        resolve(line);
      };
      this.#watchers.add(look);
      look();
    });
  }
}

/** What came of a body that was compared as it came, and not kept. */
export interface Download {
  readonly status: number;
  readonly bytes: number;
  /** True where every byte is the one expected, and there are as many. */
  readonly right: boolean;
  /** True where the body ended as its framing promised. */
  readonly whole: boolean;
  /** The `X-Cache` header. */
  readonly cache: string | undefined;
}

/** Gets a body of any size without holding it, and compares it with what it should be, which is cheaper than hashing. */
export function download(url: string, { bytes: expected }: { readonly bytes: Buffer }): Promise<Download> {
  return new Promise((resolve, reject) => {
    const request = get(url, { agent: false }, (response) => {
      let bytes = 0;
      let right = true;
      response.on('data', (chunk: Buffer) => {
        right &&= bytes + chunk.length <= expected.length;
        right &&= expected.compare(chunk, 0, chunk.length, bytes, bytes + chunk.length) === 0;
        bytes += chunk.length;
      });
      // A body that is cut ends with an error, and with `complete` false.
      response.on('error', () => undefined);
      response.on('close', () =>
        resolve({
          status: response.statusCode ?? 0,
          bytes,
          right: right && bytes === expected.length,
          whole: response.complete,
          cache: response.headers['x-cache'] as string | undefined,
        }),
      );
    });
    request.on('error', reject);
  });
}

/** True for the line that says how a transfer ended. */
export function isIngestEnd(digest: string, outcome?: string): (line: LogLine) => boolean {
  return (line) =>
    line.msg === 'ingest.finished' &&
    line['digest'] === digest &&
    (outcome === undefined || line['outcome'] === outcome);
}
