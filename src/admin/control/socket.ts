import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { parseBoundedJson } from '../../lib/index.ts';
import { createServer, listenOnSocketPath } from '../../server/index.ts';
import { redactText } from '../../telemetry/index.ts';
import { describeIssues, methodOf, OPERATOR, type Operation, type UploadOperation } from '../operation.ts';
import { readBounded } from './read-bounded.ts';

export interface ControlOptions<Context> {
  readonly path: string;
  readonly operations: readonly Operation<unknown, unknown, NoInfer<Context>>[];
  /** Those that take a stream. @default none */
  readonly uploads?: readonly UploadOperation<unknown, NoInfer<Context>>[];
  readonly context: Context;
  /** Milliseconds in which a client takes no byte of its answer, after which it is cut. @default 60_000 */
  readonly clientStall?: number;
  /** Milliseconds for a whole input. @default 10_000 */
  readonly inputDeadline?: number;
  /** Milliseconds between two pieces of a stream, after which it is cut. @default 60_000 */
  readonly streamStall?: number;
}

/** The control socket of a running server, for commands on the same machine. */
export interface Control {
  /** Rejects with a system error, `EADDRINUSE` where another server listens on the path. */
  start(): Promise<void>;
  close(): Promise<void>;
}

/** The longest input names a thousand images of `warm`. */
const MAX_INPUT_BYTES = 1024 * 1024;
/** Milliseconds for a whole input, and between two pieces of a stream. */
const INPUT_DEADLINE = 10_000;
const STREAM_STALL = 60_000;
const MAX_CONNECTIONS = 64;
/** Milliseconds in which a client takes no byte of its answer. The time that an operation needs does not count. */
const CLIENT_STALL = 60_000;

/** Only the owner of the socket may connect, and every connection may run every operation. */
const SOCKET_MODE = 0o600;

/**
 * Opens the control socket: `<method> /<name>` with the input as JSON, answered with JSON. It speaks HTTP, so that
 * `curl --unix-socket` is a client too.
 */
export function createControl<Context>(options: ControlOptions<Context>): Control {
  const { path, operations, uploads = [], context, clientStall = CLIENT_STALL } = options;
  const { inputDeadline = INPUT_DEADLINE, streamStall = STREAM_STALL } = options;
  const table = new Map(operations.map((operation) => [`${methodOf(operation)} /${operation.name}`, operation]));
  const streams = new Map(uploads.map((upload) => [`POST /${upload.name}`, upload]));
  const serving = new WeakSet<Socket>();
  const server = createServer(
    {
      headersTimeout: 5000,
      // A stream takes as long as it takes: each kind of body has a deadline of its own.
      requestTimeout: 0,
      keepAliveTimeout: 1000,
      insecureHTTPParser: false,
      // A socket of this machine has one host only, so a client need not name it.
      requireHostHeader: false,
    },
    (request, response) => {
      const { socket } = request;
      serving.add(socket);
      response.once('close', () => serving.delete(socket));
      answer(request)
        .catch((error: unknown): Answer => {
          const message = error instanceof Error ? error.message : String(error);
          return { status: 500, value: { error: redactText(message) } };
        })
        .then(({ status, value }) => send(response, status, value))
        // The rest of a stream that was given up: its sender reads the answer once it is through.
        .then(() => void request.resume())
        .catch(() => response.destroy());
    },
  );
  async function answer(request: IncomingMessage): Promise<Answer> {
    const { method = '', url = '' } = request;
    const upload = streams.get(`${method} ${url}`);
    if (upload !== undefined) return { status: 200, value: await upload.receive(paced(request, streamStall), context) };
    const operation = table.get(`${method} ${url}`);
    if (operation === undefined) return failure(404, 'this server has no such operation');
    const late = setTimeout(() => request.destroy(new Error('the input did not come in time')), inputDeadline);
    const body = await readBounded(request, MAX_INPUT_BYTES).finally(() => clearTimeout(late));
    if (body === undefined) return failure(413, `the input has more than ${MAX_INPUT_BYTES} bytes`);
    let input: unknown;
    try {
      input = body.length === 0 ? {} : parseBoundedJson(body);
    } catch {
      return failure(400, 'the input is not JSON');
    }
    const checked = operation.input.safeParse(input);
    if (!checked.success) return failure(400, describeIssues(checked.error));
    return { status: 200, value: await operation.handle(checked.data, context, OPERATOR) };
  }
  server.maxConnections = MAX_CONNECTIONS;
  server.timeout = clientStall;
  server.on('timeout', (socket: Socket) => {
    // A client that waits for a long operation is kept; one that leaves its answer untaken would hold a connection for ever.
    if (serving.has(socket) && socket.writableLength === 0) socket.setTimeout(socket.timeout ?? 0);
    else socket.destroy();
  });
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

/** The pieces of a stream, each within its time. It can be left before its end: the request stays open for the answer. */
async function* paced(request: IncomingMessage, stall: number): AsyncGenerator<Buffer, void> {
  const wait = (): NodeJS.Timeout => setTimeout(() => request.destroy(new Error('the stream stopped')), stall);
  let late = wait();
  try {
    for await (const chunk of request.iterator({ destroyOnReturn: false })) {
      // The time in which the receiver is busy is its own.
      clearTimeout(late);
      yield chunk as Buffer;
      late = wait();
    }
    if (!request.complete) throw new Error('the stream was cut');
  } finally {
    clearTimeout(late);
  }
}

interface Answer {
  readonly status: number;
  readonly value: unknown;
}

function failure(status: number, error: string): Answer {
  return { status, value: { error } };
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
