import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { createServer, listenOnSocketPath } from '../server/index.ts';
import { redactText } from '../telemetry/index.ts';
import { readBounded } from './read-bounded.ts';

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

const MAX_INPUT_BYTES = 64 * 1024;
const MAX_CONNECTIONS = 64;

/** Whoever may connect may do everything: the owner, and nobody else. */
const SOCKET_MODE = 0o600;

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

function closeServer(server: Server): Promise<void> {
  return new Promise((done) => {
    server.close(() => done());
    server.closeAllConnections();
  });
}
