import { connect, isIP, type NetConnectOpts, type Socket } from 'node:net';
import type { Config, ConfigFlags } from '../../../config/index.ts';
import type { CommandOptions } from '../../command.ts';
import { EXIT } from '../../exit-code.ts';
import { type Output, processOutput } from '../../output.ts';

/** The options of `entrepot healthcheck`. */
export interface HealthcheckOptions extends CommandOptions {
  /** What to ask, as written: `https://mirror.example.com/readyz`, `unix:/run/entrepot.sock`. @default the first listener of the configuration */
  readonly url?: string;
  /** For the whole answer, as written: `500ms`. @default 3s */
  readonly timeout?: string;
}

/** Where a probe goes. */
interface Target {
  /** For messages. */
  readonly text: string;
  readonly connection: NetConnectOpts;
  /** Absent: no TLS. */
  readonly tls?: { readonly verify: boolean };
  /** The `Host` of the request. */
  readonly authority: string;
  readonly path: string;
}

/** Milliseconds. */
const TIMEOUT = 3000;
const PATH = '/healthz';

/** Longest start of an answer that is read for its status. */
const MAX_START = 1024;

/**
 * `entrepot healthcheck`: asks a server's `/healthz`, and prints one line. A container engine runs it every few seconds.
 *
 * @returns the exit code: 0 for a status of 200 to 299, else 1. Docker gives no other code a meaning
 */
export async function healthcheck(options: HealthcheckOptions, output: Output = processOutput): Promise<number> {
  const { flags, url, timeout } = options;
  const deadline = timeout === undefined ? TIMEOUT : (await import('../../../config/index.ts')).parseDuration(timeout);
  if (deadline === undefined || deadline === 0 || deadline > 2 ** 31 - 1) {
    output.err(`error: --timeout ${timeout} is not a length of time; expected one such as 3s or 500ms\n`);
    return EXIT.usage;
  }
  const target = url === undefined ? await configuredTarget(flags) : urlTarget(url);
  if (target === undefined) {
    output.err(`error: --url ${url} is not an address; expected http://HOST:PORT, https://HOST or unix:/PATH\n`);
    return EXIT.usage;
  }
  if ('reason' in target) {
    output.err(`unhealthy: ${target.reason}\n`);
    return EXIT.failure;
  }
  try {
    const status = await ask(target, AbortSignal.timeout(deadline));
    const isHealthy = status >= 200 && status < 300;
    if (isHealthy) output.out(`healthy: ${target.text} answered ${status}\n`);
    else output.err(`unhealthy: ${target.text} answered ${status}\n`);
    return isHealthy ? EXIT.ok : EXIT.failure;
  } catch (error) {
    output.err(
      `unhealthy: ${target.text} ${describe(error as NodeJS.ErrnoException, timeout ?? `${TIMEOUT / 1000}s`)}\n`,
    );
    return EXIT.failure;
  }
}

/** What the configuration names, or why it names nothing. It is loaded only where it is needed: it takes most of the time. */
async function configuredTarget(flags: ConfigFlags): Promise<Target | { readonly reason: string }> {
  const { ConfigError, formatProblem, loadListeners } = await import('../../../config/index.ts');
  try {
    const target = listenerTarget(await loadListeners({ flags }));
    const reason =
      'the configuration names no address to ask: each listener has port 0 or only redirects. Name one with --url';
    return target ?? { reason };
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    const [problem] = error.problems.map(formatProblem);
    return { reason: `no address to ask: ${problem}. Correct it, or name the address with --url` };
  }
}

/** The first listener that can be asked: one without TLS, as that is cheaper, else one with it. */
function listenerTarget(listeners: Config['listen']): Target | undefined {
  const [listener] = listeners
    .filter(({ address, redirectToHttps }) => !redirectToHttps && !('port' in address && address.port === 0))
    .toSorted((a, b) => Number(a.tls !== undefined) - Number(b.tls !== undefined));
  if (listener === undefined) return undefined;
  const { address, tls } = listener;
  // The certificate is for the name that clients use, and this is an address of the machine itself.
  const secured = tls === undefined ? {} : { tls: { verify: false } };
  if ('path' in address) return { ...socketTarget(address.path), ...secured };
  const host = reachable(address.host);
  const authority = `${isIP(host) === 6 ? `[${host}]` : host}:${address.port}`;
  const text = `${tls === undefined ? 'http' : 'https'}://${authority}${PATH}`;
  return { text, connection: { host, port: address.port }, authority, path: PATH, ...secured };
}

/** An address to connect to, where the listener takes every address. */
function reachable(host: string | undefined): string {
  if (host === undefined || host === '0.0.0.0') return '127.0.0.1';
  return host === '::' ? '::1' : host;
}

function urlTarget(url: string): Target | undefined {
  if (url.startsWith('unix:/')) return socketTarget(url.slice('unix:'.length));
  const parsed = URL.parse(url);
  if (parsed === null || !/^https?:$/.test(parsed.protocol)) return undefined;
  const { protocol, hostname, port, pathname, search, origin, host: authority } = parsed;
  const isSecure = protocol === 'https:';
  const host = hostname.replace(/^\[(.*)\]$/, '$1');
  const path = pathname === '/' ? PATH : pathname;
  const isLocal = host === 'localhost' || host === '::1' || (isIP(host) === 4 && host.startsWith('127.'));
  return {
    text: `${origin}${path}`,
    connection: { host, port: port === '' ? (isSecure ? 443 : 80) : Number(port) },
    ...(isSecure ? { tls: { verify: !isLocal } } : {}),
    authority,
    path: `${path}${search}`,
  };
}

function socketTarget(path: string): Target {
  return { text: `unix:${path} ${PATH}`, connection: { path }, authority: 'localhost', path: PATH };
}

/**
 * The status of the answer. Loading Node's HTTP client costs more than everything else here, and one line is all that is
 * needed of the answer.
 */
async function ask({ connection, tls, authority, path }: Target, signal: AbortSignal): Promise<number> {
  const socket = tls === undefined ? connect(connection) : await connectSecurely(connection, tls.verify);
  try {
    socket.write(`GET ${path} HTTP/1.1\r\nHost: ${authority}\r\nConnection: close\r\n\r\n`);
    return await readStatus(socket, signal);
  } finally {
    socket.destroy();
  }
}

async function connectSecurely(connection: NetConnectOpts, verify: boolean): Promise<Socket> {
  const { connect: connectTls } = await import('node:tls');
  const name =
    'host' in connection && connection.host !== undefined && isIP(connection.host) === 0 ? connection.host : '';
  return connectTls({ ...connection, rejectUnauthorized: verify, ...(name === '' ? {} : { servername: name }) });
}

function readStatus(socket: Socket, signal: AbortSignal): Promise<number> {
  return new Promise((resolve, reject) => {
    let start = '';
    socket.on('error', reject);
    socket.on('close', () => reject(new Error('the connection was closed without an answer')));
    signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
    socket.on('data', (chunk: Buffer) => {
      start += chunk.toString('latin1');
      // RFC 9112, section 4.
      const status = /^HTTP\/1\.[01] (\d{3})[ \r]/.exec(start)?.[1];
      if (status !== undefined) resolve(Number(status));
      else if (start.length > MAX_START) reject(new Error('the answer is not HTTP'));
    });
  });
}

function describe({ name, code, message }: NodeJS.ErrnoException, timeout: string): string {
  if (name === 'TimeoutError') return `did not answer within ${timeout}`;
  if (code === 'ECONNREFUSED' || code === 'ENOENT')
    return `is not there (${code}): does the server run, and listen there?`;
  return `cannot be asked: ${message}`;
}
