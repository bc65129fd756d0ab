import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { lstat } from 'node:fs/promises';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { redactText } from '../telemetry/index.ts';
import { createServer, request as httpRequest } from './node-http.ts';
import { listenOnSocketPath } from './unix-socket.ts';

/** What a running server says about itself. Times are milliseconds since 1970. */
export interface ServerStatus {
  readonly version: string;
  readonly pid: number;
  readonly startedAt: number;
  readonly uptimeSeconds: number;
  /** `http://127.0.0.1:5000`, `unix:/run/entrepot.sock`. */
  readonly listeners: readonly string[];
  /** Where the configuration came from: a file, an environment variable, or `defaults`. */
  readonly configSource: string;
  readonly cache:
    | {
        readonly dir: string;
        readonly blobs: number;
        readonly bytes: number;
        readonly maxSize?: number;
        /** Set while what is pulled is not kept. */
        readonly paused?: { readonly reason: string; readonly since: number; readonly until?: number | undefined };
      }
    | 'off';
  /** Requests of clients; absent from servers before there was this. */
  readonly requests?: {
    readonly inflight: number;
    readonly waiting: number;
    /** `limits.max_inflight`, where there is a limit. */
    readonly maxInflight?: number;
    /** Some were turned away a moment ago. */
    readonly overloaded: boolean;
  };
  readonly transfers: readonly TransferStatus[];
  /** The configured upstreams that were asked since the server started; absent from servers before there was this. */
  readonly upstreams?: readonly UpstreamStatus[];
}

/** How one upstream fares. Times are milliseconds since 1970. */
export interface UpstreamStatus {
  readonly registry: string;
  readonly upstream: string;
  /** `closed`: asked as usual. `open`: left alone until `openUntil`. `half-open`: the next question tries it. */
  readonly state: 'closed' | 'open' | 'half-open';
  /** Which questions that is about: `all`, `pull` (GETs of manifests), `check` (HEADs), `list` or `blob`. */
  readonly scope: string;
  readonly openUntil?: number;
  /** When the trouble began, and what failed last. */
  readonly since?: number;
  readonly reason?: string;
  /** Pulls left, for each credential of which the registry said so. */
  readonly quota?: readonly {
    readonly credential: string;
    readonly limit?: number | undefined;
    readonly remaining: number;
    readonly windowSeconds?: number | undefined;
  }[];
}

/** One transfer under way. */
export interface TransferStatus {
  readonly id: string;
  readonly registry: string;
  readonly repository: string;
  /** Absent for what is fetched by URL: nobody knows it yet. */
  readonly digest?: string;
  readonly upstream: string;
  /** Bytes received. */
  readonly bytes: number;
  /** Of the whole; absent where the upstream does not say. */
  readonly size?: number;
  /** Readers that follow it now. */
  readonly followers: number;
  readonly startedAt: number;
}

/** What may be asked on the control socket: `<method> /<name>`, answered with the JSON of what the handler returns. */
export interface Operation {
  readonly name: string;
  /** GET reads, POST changes. */
  readonly method: 'GET' | 'POST';
  /** @param input the JSON that was sent; undefined where none was. An error is answered with its message, redacted. */
  readonly handle: (input: unknown) => unknown;
}

export interface ControlOptions {
  readonly path: string;
  readonly operations: readonly Operation[];
}

/** The way to a running server for the commands of its own machine. */
export interface Control {
  /** Throws a system error: EADDRINUSE where another server answers on the path. */
  start(): Promise<void>;
  close(): Promise<void>;
}

export type ControlErrorCode = 'not-running' | 'denied' | 'unknown-operation' | 'failed' | 'timeout';

/** Why a call brought no answer; the message says what would do. */
export class ControlError extends Error {
  override readonly name = 'ControlError';
  readonly code: ControlErrorCode;

  constructor(code: ControlErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

/** A Unix socket's path fits in 108 bytes on Linux and 104 on macOS, the ending zero included. */
const MAX_PATH_BYTES = 100;

const MAX_INPUT_BYTES = 64 * 1024;
const MAX_ANSWER_BYTES = 16 * 1024 * 1024;
const MAX_CONNECTIONS = 64;

/** Whoever may connect may do everything: the owner, and nobody else. */
const SOCKET_MODE = 0o600;

/**
 * Where the server of a cache directory is controlled: `control.sock` in it, or, where that path is too long for a
 * socket, one in the directory for temporary files whose name follows from the directory's. Pure but for the system's
 * temporary directory: the server and its commands must see the same TMPDIR.
 */
export function controlSocketPath(directory: string): string {
  const absolute = resolve(directory);
  const path = join(absolute, 'control.sock');
  if (Buffer.byteLength(path) <= MAX_PATH_BYTES) return path;
  const name = createHash('sha256').update(absolute).digest('hex').slice(0, 32);
  return join(tmpdir(), `entrepot-${name}.sock`);
}

/** Opens the control socket: HTTP, so that `curl --unix-socket` is a client too. The socket's mode is its only lock. */
export function createControl({ path, operations }: ControlOptions): Control {
  const table = Map.groupBy(operations, ({ name }) => `/${name}`);
  const server = createServer(
    { headersTimeout: 5000, requestTimeout: 10_000, keepAliveTimeout: 1000, insecureHTTPParser: false },
    (request, response) => {
      answerOperation(table, request)
        .catch((error: unknown): Answer => {
          const message = error instanceof Error ? error.message : String(error);
          return { status: 500, value: { error: redactText(message) } };
        })
        .then(({ status, value }) => send(response, status, value))
        .catch(() => response.destroy());
    },
  );
  server.maxConnections = MAX_CONNECTIONS;
  server.on('connection', (socket: Socket) => socket.on('error', () => {}));
  server.on('clientError', (_error, socket) => socket.destroy());
  return {
    async start() {
      await listenOnSocketPath(server, path, { mode: SOCKET_MODE, backlog: MAX_CONNECTIONS });
      server.on('error', () => {});
    },
    close: () => closeServer(server),
  };
}

interface Answer {
  readonly status: number;
  readonly value: unknown;
}

async function answerOperation(
  table: ReadonlyMap<string, readonly Operation[]>,
  request: IncomingMessage,
): Promise<Answer> {
  const named = table.get(request.url ?? '');
  if (named === undefined) return { status: 404, value: { error: 'this server knows no such operation' } };
  const operation = named.find(({ method }) => method === request.method);
  if (operation === undefined) {
    return { status: 405, value: { error: `use ${named.map(({ method }) => method).join(' or ')}` } };
  }
  const body = await readBounded(request, MAX_INPUT_BYTES);
  if (body === undefined) return { status: 413, value: { error: `more than ${MAX_INPUT_BYTES} bytes were sent` } };
  let input: unknown;
  try {
    input = body.length === 0 ? undefined : JSON.parse(body.toString('utf8'));
  } catch {
    return { status: 400, value: { error: 'what was sent is no JSON' } };
  }
  return { status: 200, value: await operation.handle(input) };
}

function send(response: ServerResponse, status: number, value: unknown): void {
  const body = JSON.stringify(value ?? null);
  response.writeHead(status, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) });
  response.end(body);
}

/** Undefined where there is more than the bound. */
async function readBounded(stream: AsyncIterable<Buffer>, maxBytes: number): Promise<Buffer | undefined> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of stream) {
    bytes += chunk.length;
    if (bytes > maxBytes) return undefined;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks, bytes);
}

function closeServer(server: Server): Promise<void> {
  return new Promise((done) => {
    server.close(() => done());
    server.closeAllConnections();
  });
}

export interface CallOptions {
  /** @default 'GET' */
  readonly method?: 'GET' | 'POST';
  /** Sent as JSON. */
  readonly input?: unknown;
  /** Milliseconds for the whole call. @default 10_000 */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

/** Asks the server behind a control socket; resolves with the JSON it answers. Throws {@link ControlError}. */
export async function callControl(path: string, operation: string, options: CallOptions = {}): Promise<unknown> {
  const { timeoutMs = 10_000, signal } = options;
  const deadline = AbortSignal.timeout(timeoutMs);
  const either = signal === undefined ? deadline : AbortSignal.any([deadline, signal]);
  try {
    await assertTrustworthy(path);
    const { status, body } = await exchange(path, operation, { ...options, signal: either });
    return readAnswer({ status, body, operation });
  } catch (error) {
    throw explainCallError(path, error, { timedOut: deadline.aborted, timeoutMs });
  }
}

/** In a directory anybody may write to, a socket of somebody else's could pose as our server. */
async function assertTrustworthy(path: string): Promise<void> {
  const { uid } = await lstat(path);
  const self = process.getuid?.();
  if (self === undefined || self === 0 || uid === 0 || uid === self) return;
  throw new ControlError(
    'denied',
    `The socket ${path} belongs to another user; run this as the user the server runs as.`,
  );
}

async function exchange(
  path: string,
  operation: string,
  { method = 'GET', input, signal }: CallOptions & { readonly signal: AbortSignal },
): Promise<{ status: number; body: Buffer }> {
  const payload = input === undefined ? undefined : JSON.stringify(input);
  const headers = payload === undefined ? {} : { 'content-length': Buffer.byteLength(payload) };
  const request = httpRequest({ socketPath: path, path: `/${operation}`, method, signal, headers });
  // once() hears the first error only; what follows it must not be fatal.
  request.on('error', () => {});
  request.end(payload);
  const [response] = (await once(request, 'response')) as [IncomingMessage];
  const body = await readBounded(response, MAX_ANSWER_BYTES);
  if (body === undefined) throw new ControlError('failed', 'The server answered with more than can be right.');
  return { status: response.statusCode ?? 0, body };
}

function readAnswer({ status, body, operation }: { status: number; body: Buffer; operation: string }): unknown {
  let value: unknown;
  try {
    value = JSON.parse(body.toString('utf8'));
  } catch (cause) {
    throw new ControlError('failed', 'The server answered with what is no JSON; is it another program?', { cause });
  }
  if (status === 200) return value;
  if (status === 404 || status === 405)
    throw new ControlError(
      'unknown-operation',
      `The running server does not know \`${operation}\`; it is of another version than this command. Restart it.`,
    );
  const reason = typeof value === 'object' && value !== null && 'error' in value ? String(value.error) : `${status}`;
  throw new ControlError('failed', `The server could not do \`${operation}\`: ${reason}`);
}

function explainCallError(
  path: string,
  error: unknown,
  { timedOut, timeoutMs }: { timedOut: boolean; timeoutMs: number },
): unknown {
  if (error instanceof ControlError) return error;
  const { code } = error as NodeJS.ErrnoException;
  if (timedOut)
    return new ControlError('timeout', `The server did not answer within ${timeoutMs / 1000} s.`, { cause: error });
  switch (code) {
    case 'ENOENT':
    case 'ENOTDIR':
    case 'ECONNREFUSED':
      return new ControlError('not-running', `No server listens on ${path}.`, { cause: error });
    case 'ECONNRESET':
    case 'EPIPE':
      return new ControlError(
        'failed',
        'The server ended before it had answered; what was asked for may be done, in part or not at all.',
        { cause: error },
      );
    case 'EACCES':
    case 'EPERM':
      return new ControlError(
        'denied',
        `The socket ${path} is not open to this user; run this as the user the server runs as.`,
        { cause: error },
      );
    default:
      return error;
  }
}
