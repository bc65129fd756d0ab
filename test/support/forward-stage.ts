import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer, type RequestListener } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import {
  type AddressInfo,
  connect,
  createServer as createTcpServer,
  isIP,
  type LookupFunction,
  type Server,
  type Socket,
} from 'node:net';
import { type Authority, compileAllowedHosts, type ForwardOptions, openAuthority } from '../../src/forward/index.ts';
import { createInterceptor } from '../../src/forward/mitm.ts';
import { createForward } from '../../src/forward/proxy.ts';
import { createPseudonym } from '../../src/lib/index.ts';
import { createDial } from '../../src/net/index.ts';
import { type Forward, FrontDoor } from '../../src/server/index.ts';
import { type RequestFinished, Telemetry } from '../../src/telemetry/index.ts';

/** A front door with a forward proxy behind it, and nothing else. */
export interface ForwardStage extends AsyncDisposable {
  /** `127.0.0.1:PORT` */
  readonly host: string;
  readonly port: number;
  readonly door: FrontDoor;
  readonly forward: Forward;
  readonly telemetry: Telemetry;
  readonly finished: RequestFinished[];
  /** Resolves with the first line that fits, now or later. */
  request(fits: (event: RequestFinished) => boolean): Promise<RequestFinished>;
}

export interface ForwardStageOptions {
  readonly allowed?: readonly string[];
  readonly forward?: Partial<ForwardOptions>;
  /** Look into tunnels, with this authority. */
  readonly authority?: Authority;
  /** What is answered to requests for this server itself, and for registries. @default 404 */
  readonly handler?: RequestListener;
}

const pem = (name: string): string => readFileSync(new URL(`tls/${name}.pem`, import.meta.url), 'utf8');

/** Every name is this machine; `*.test` may be asked for although it is. */
const lookup: LookupFunction = (host, options, done) => {
  const address = isIP(host) === 0 ? '127.0.0.1' : host;
  if (host.startsWith('missing')) return done(Object.assign(new Error('not found'), { code: 'ENOTFOUND' }), '');
  if (options.all === true) done(null, [{ address, family: 4 }]);
  else done(null, address, 4);
};

export async function startForward(options: ForwardStageOptions = {}): Promise<ForwardStage> {
  const telemetry = new Telemetry();
  const finished: RequestFinished[] = [];
  telemetry.on('request.finished', (event) => finished.push(event));
  const own = new Set<number>();
  const handler: RequestListener = options.handler ?? ((_request, response) => void response.writeHead(404).end());
  const { authority } = options;
  const forward = createForward({
    isAllowed: compileAllowedHosts(options.allowed ?? ['registry.test', 'cdn.test', 'missing.test', '127.0.0.1']),
    ports: [443, 80],
    allowPrivate: ['registry.test', 'cdn.test'],
    credential: undefined,
    anonymous: false,
    maxTunnels: 100,
    idleTimeout: 30_000,
    responseHeaderTimeout: 30_000,
    bodyIdleTimeout: 30_000,
    dial: createDial({ lookup, tls: { ca: pem('ca') } }),
    telemetry,
    isRegistry: () => false,
    dispatch: handler,
    ownPorts: () => own,
    pseudonym: createPseudonym(),
    ...(authority === undefined ? {} : { interceptor: createInterceptor({ authority, telemetry }) }),
    ...options.forward,
  });
  const door = new FrontDoor({
    listeners: [{ address: { host: '127.0.0.1', port: 0 }, forward: true }],
    handler,
    forward,
  });
  const [listener] = await door.start();
  const port = listener?.port ?? 0;
  own.add(port);
  return {
    host: `127.0.0.1:${port}`,
    port,
    door,
    forward,
    telemetry,
    finished,
    request: (fits) =>
      new Promise((resolve) => {
        const there = finished.find(fits);
        if (there !== undefined) return resolve(there);
        telemetry.on('request.finished', (event) => fits(event) && resolve(event));
      }),
    async [Symbol.asyncDispose]() {
      await door.stop({ timeoutMs: 0 });
    },
  };
}

/** A host that a client wants to speak to. */
export interface Target extends AsyncDisposable {
  readonly port: number;
  /** How many connections it was given. */
  readonly connections: () => number;
}

/** A web server, over TLS where that is asked for (for `registry.test`). */
export async function startTarget(listener: RequestListener, { secure = false } = {}): Promise<Target> {
  const tls = { cert: pem('server'), key: pem('server-key') };
  return await listening(secure ? createHttpsServer(tls, listener) : createServer(listener));
}

/** A server that speaks whatever the test has it say. */
export function startTcpTarget(serve: (socket: Socket) => void): Promise<Target> {
  return listening(
    createTcpServer({ allowHalfOpen: true }, (socket) => {
      socket.on('error', () => undefined);
      serve(socket);
    }),
  );
}

async function listening(server: Server): Promise<Target> {
  const sockets = new Set<Socket>();
  let connections = 0;
  server.on('connection', (socket: Socket) => {
    connections += 1;
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    connections: () => connections,
    async [Symbol.asyncDispose]() {
      const closed = new Promise((resolve) => server.close(resolve));
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}

/** Asks for a tunnel, and gives the socket once it is open, with whatever came behind the answer. */
export async function openTunnelTo(
  stage: Pick<ForwardStage, 'port'>,
  authority: string,
  { headers = [], eager = '' }: { readonly headers?: readonly string[]; readonly eager?: string | Buffer } = {},
): Promise<Socket> {
  const socket = connect({ port: stage.port, host: '127.0.0.1' });
  socket.on('error', () => undefined);
  socket.write([`CONNECT ${authority} HTTP/1.1`, `Host: ${authority}`, ...headers, '', ''].join('\r\n'));
  if (eager.length > 0) socket.write(eager);
  let answer = Buffer.alloc(0);
  while (!answer.includes('\r\n\r\n')) {
    const [chunk] = (await once(socket, 'data')) as [Buffer];
    answer = Buffer.concat([answer, chunk]);
  }
  socket.pause();
  const end = answer.indexOf('\r\n\r\n') + 4;
  if (!answer.toString('latin1').startsWith('HTTP/1.1 200 ')) throw new Error(answer.toString('latin1'));
  if (end < answer.length) socket.unshift(answer.subarray(end));
  return socket;
}

/** An authority for a stage. */
export function authorityOf(pair: { readonly cert: string; readonly key: string }): Authority {
  return openAuthority(pair);
}
