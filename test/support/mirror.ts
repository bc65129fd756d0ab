import { mkdir } from 'node:fs/promises';
import { connect } from 'node:net';
import { type App, startApp } from '../../src/app/app.ts';
import { type ConfigFlags, type LoadedConfig, loadConfig } from '../../src/config/index.ts';
import { type ConfigReloaded, createLog } from '../../src/telemetry/index.ts';
import type { AccessLine, LogLine } from './app.ts';
import { Workspace } from './processes.ts';
import { parseResponse, type RawRequest, type RawResponse, rawRequest } from './raw-request.ts';

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
  reload(config?: Readonly<Record<string, unknown>>): Promise<ConfigReloaded>;
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

/** What every download reads into: as large as what a socket gives at once. */
const LANDING = Buffer.alloc(256 * 1024);

/**
 * Gets a body of any size without holding it, and compares it with what it should be, which is cheaper than hashing.
 *
 * It reads from the socket into one buffer: fifty downloads of 64 MiB cost half as much as with `http.get`.
 * Rejects where the connection ends before the head, and where the answer has no `Content-Length`.
 */
export function download(url: string, { bytes: expected }: { readonly bytes: Buffer }): Promise<Download> {
  const { host, hostname, port, pathname, search } = new URL(url);
  return new Promise((resolve, reject) => {
    let received = Buffer.alloc(0);
    let head: RawResponse | undefined;
    let bytes = 0;
    let right = true;
    let failure = new Error('The connection ended before the head of an answer');

    function takeBody(chunk: Buffer): void {
      right &&= bytes + chunk.length <= expected.length;
      right &&= expected.compare(chunk, 0, chunk.length, bytes, bytes + chunk.length) === 0;
      bytes += chunk.length;
    }
    function take(chunk: Buffer): void {
      if (head !== undefined) {
        takeBody(chunk);
        return;
      }
      received = Buffer.concat([received, chunk]);
      const end = received.indexOf('\r\n\r\n');
      if (end < 0) return;
      head = parseResponse(received);
      takeBody(received.subarray(end + 4));
    }
    const socket = connect({
      host: hostname,
      port: Number(port),
      onread: {
        buffer: LANDING,
        callback: (count) => {
          take(LANDING.subarray(0, count));
          return true;
        },
      },
    });
    socket.on('connect', () =>
      socket.write(`GET ${pathname}${search} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`),
    );
    socket.on('error', (error) => (failure = error));
    socket.on('close', () => {
      const length = head?.headers['content-length'];
      if (head === undefined) reject(failure);
      else if (length === undefined) reject(new Error(`The answer ${head.status} has no Content-Length`));
      else {
        resolve({
          status: head.status,
          bytes,
          right: right && bytes === expected.length,
          whole: bytes === Number(length),
          cache: head.headers['x-cache'],
        });
      }
    });
  });
}

/** True for the line that says how a transfer ended. */
export function isIngestEnd(digest: string, outcome?: string): (line: LogLine) => boolean {
  return (line) =>
    line.msg === 'ingest.finished' &&
    line['digest'] === digest &&
    (outcome === undefined || line['outcome'] === outcome);
}
