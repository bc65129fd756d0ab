import type { IncomingMessage, Server, ServerOptions, ServerResponse } from 'node:http';
import type { Server as HttpsServer } from 'node:https';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { OciError } from '../../oci/index.ts';
import type { RequestHandler } from '../exchange/index.ts';
import {
  createServer,
  faultOfHost,
  identifyClient,
  introductionOf,
  setClientInfo,
  type TrustedProxies,
} from '../exchange/index.ts';
import { CertificateKeeper, type ListenerCertificate } from '../tls/index.ts';
import { Connections } from './connections.ts';
import { redirectToHttps } from './https-redirect.ts';
import { formatAddress, type ListenerAddress, type ListenerSpec, openListener } from './listener.ts';
import { refusal, refusalOf, refuseOnSocket } from './refuse.ts';
import { type Forward, isAbsoluteForm, type OpenedTunnel, type TunnelDoor } from './tunnel.ts';

/** All in milliseconds; 0 switches a limit off unless said otherwise. */
export interface FrontDoorTimeouts {
  /** From a connection's first byte (or from its opening) to the end of the request head. @default 10_000 */
  readonly readHeader?: number;
  /** For the whole request, its body included: a hard limit. Bodies that are read end when they stand still. @default 0 */
  readonly read?: number;
  /** For the whole response: a hard limit, which cuts slow clients and large layers alike. @default 0 */
  readonly write?: number;
  /** Between two requests of a connection; longer than what load balancers keep (60 s), so that they close first. @default 65_000 */
  readonly idle?: number;
  /** Without the client taking a byte of what was written to it. @default 60_000 */
  readonly clientStall?: number;
}

export interface FrontDoorLimits {
  /** Bytes of a request head. @default 16_384 */
  readonly maxHeaderBytes?: number;
  /** Connections at once, per listener; more are closed as they come. @default 16_384 */
  readonly maxConnections?: number;
}

/** What may change while the front door is open. */
export interface FrontDoorSettings {
  /** Where `redirectToHttps` leads, if it is an https URL. */
  readonly publicUrl?: string | undefined;
  /** Whose word on who asks is believed. @default nobody's */
  readonly trustedProxies?: TrustedProxies | undefined;
  readonly timeouts?: FrontDoorTimeouts;
  /** `maxHeaderBytes` stays as it was when the listeners were opened. */
  readonly limits?: FrontDoorLimits;
}

export interface FrontDoorOptions extends FrontDoorSettings {
  readonly listeners: readonly ListenerSpec[];
  /** Takes every request to this server. What it throws is reported, and the response is ended with 500 or cut. */
  readonly handler: RequestHandler;
  /** Takes what is for other servers, on the listeners that say `forward`. @default all of it is refused */
  readonly forward?: Forward | undefined;
  /** Hears of each certificate that was exchanged for the one its file holds now. */
  readonly onRenewed?: (certificate: ListenerCertificate) => void;
  /** Milliseconds between two looks at the TLS files. @default 30_000 */
  readonly certificateInterval?: number | undefined;
  /** Hears what ended no request and what the handler threw. */
  readonly onWarning?: (message: string, error?: unknown) => void;
}

export interface StopOptions {
  /** Milliseconds for what runs to finish; 0 cuts at once. @default 30_000 */
  readonly timeoutMs?: number;
}

/** Sockets become requests. */
export interface FrontDoor {
  /** Opens every listener, or none: throws a ListenError, or an Error that names a TLS file. */
  start(): Promise<readonly ListenerAddress[]>;
  /**
   * Refuses new connections, lets running responses finish up to the limit, cuts the rest. Resolves when every socket is
   * closed, with the number of responses cut. Called again, it may only shorten the time.
   */
  stop(options?: StopOptions): Promise<{ readonly cut: number }>;
  /** Reads the TLS files again, for connections yet to come; on an error the certificates in use stay. */
  renewCertificates(): Promise<void>;
  /** The same in two steps: reads and checks, and gives what puts them to use. */
  prepareCertificates(): Promise<() => void>;
  /** Those in use. */
  readonly certificates: readonly ListenerCertificate[];
  /** Goes by other limits and times: for connections yet to come, and requests yet to come on those that are open. */
  adjust(settings: FrontDoorSettings): void;
  /** Responses and tunnels under way. */
  readonly inFlight: number;
  /** Connections open, idle ones included. */
  readonly connections: number;
}

/** A registry client sends about ten headers; Node keeps silent about those it drops, so we count and refuse. */
const MAX_HEADERS = 100;

/** A TLS handshake takes two round trips. */
const HANDSHAKE_TIMEOUT_MS = 10_000;

/** One line, not thousands, while connections are refused. */
const DROP_WARNING_INTERVAL_MS = 10_000;

export function createFrontDoor(given: FrontDoorOptions): FrontDoor {
  // One object for all listeners, in which `adjust` changes what is looked at anew for each request.
  const options: FrontDoorOptions = { ...given };
  const connections = new Connections();
  const keeper = new CertificateKeeper({
    onWarning: (message, error) => given.onWarning?.(message, error),
    onRenewed: (certificate) => given.onRenewed?.(certificate),
    ...(given.certificateInterval === undefined ? {} : { interval: given.certificateInterval }),
  });
  const servers: { readonly spec: ListenerSpec; readonly server: Server | HttpsServer }[] = [];
  let stopping: Promise<{ cut: number }> | undefined;
  let cutResponses = 0;

  async function start(): Promise<readonly ListenerAddress[]> {
    const addresses: ListenerAddress[] = [];
    try {
      for (const spec of options.listeners) {
        const server = await createListenerServer(spec, options, { connections, keeper });
        servers.push({ spec, server });
        addresses.push(await openListener(server, spec));
        // Accepting can fail later too (no descriptors left): the listener goes on, and so does the server.
        server.on('error', (error) => options.onWarning?.('a listener had a failure', error));
      }
    } catch (error) {
      await stop({ timeoutMs: 0 });
      throw error;
    }
    keeper.start();
    return addresses;
  }

  async function drain(): Promise<{ cut: number }> {
    keeper.stop();
    const closed = servers.map(({ server }) => new Promise<void>((resolve) => server.close(() => resolve())));
    await connections.drain();
    connections.farewell();
    await Promise.all(closed);
    return { cut: cutResponses };
  }

  function stop({ timeoutMs = 30_000 }: StopOptions = {}): Promise<{ cut: number }> {
    stopping ??= drain();
    const deadline = setTimeout(() => {
      cutResponses += connections.cut();
    }, timeoutMs);
    return stopping.finally(() => clearTimeout(deadline));
  }

  async function renewCertificates(): Promise<void> {
    const renew = await keeper.prepare();
    renew();
  }

  function adjust({ publicUrl, trustedProxies, timeouts = {}, limits = {} }: FrontDoorSettings): void {
    Object.assign(options, { publicUrl, trustedProxies, timeouts, limits });
    for (const { spec, server } of servers) limitServer(server, spec, options);
  }

  return {
    start,
    stop,
    renewCertificates,
    prepareCertificates: () => keeper.prepare(),
    get certificates() {
      return keeper.certificates;
    },
    adjust,
    get inFlight() {
      return connections.inFlight;
    },
    get connections() {
      return connections.open;
    },
  };
}

async function createListenerServer(
  spec: ListenerSpec,
  options: FrontDoorOptions,
  { connections, keeper }: { readonly connections: Connections; readonly keeper: CertificateKeeper },
): Promise<Server | HttpsServer> {
  const settings = serverSettings(spec, options);
  let server: Server | HttpsServer;
  if (spec.tls === undefined) {
    server = createServer(settings);
    server.on('connection', (socket: Socket) => connections.establish(socket));
  } else {
    // TLS costs 10 ms to load, and most mirrors stand behind somebody else's or on loopback.
    const https = await import('node:https');
    const { cert, key, serve } = await keeper.open(formatAddress(spec), spec.tls);
    const secure = https.createServer({
      ...settings,
      cert,
      key,
      minVersion: 'TLSv1.2',
      handshakeTimeout: HANDSHAKE_TIMEOUT_MS,
      ALPNProtocols: ['http/1.1'],
    });
    secure.on('secureConnection', (socket) => connections.establish(socket));
    serve(secure);
    server = secure;
  }
  server.maxHeadersCount = MAX_HEADERS + 1;
  limitServer(server, spec, options);
  server.on('connection', (socket: Socket) => connections.accept(socket));
  server.on('timeout', (socket: Socket) => connections.timedOut(socket));
  const decrypted: Decrypted = new WeakMap();
  const handler = handlerFor(spec, options, decrypted);
  listenToRequests(server, options, { connections, decrypted, handler });
  listenToRefusals(server, options, connections);
  server.on('connect', (request: IncomingMessage, stream: Duplex, head: Buffer) => {
    const socket = stream as Socket;
    const forward = spec.forward === true && !decrypted.has(socket) ? options.forward : undefined;
    if (forward === undefined) {
      const headers = { allow: 'GET, HEAD' };
      return refuseOnSocket(socket, new OciError('UNSUPPORTED', 'this server opens no tunnels', { headers }));
    }
    const refused = refusalOfTunnel(request, connections);
    if (!connections.surrender(socket)) return;
    introduceBy(options.trustedProxies, request);
    if (refused === undefined) forward.connect(request, socket, head, door);
    else refuseOnSocket(socket, refused);
  });
  const door: TunnelDoor = {
    hold: (socket, quiet) => connections.hold(socket, quiet),
    serve: (socket, tunnel) => {
      decrypted.set(socket, tunnel);
      // As if it had been accepted here: the limits, timeouts and refusals of the listener hold within tunnels too.
      server.emit(spec.tls === undefined ? 'connection' : 'secureConnection', socket);
    },
  };
  return server;
}

/** Connections that came out of tunnels, each with its tunnel. */
type Decrypted = WeakMap<Socket, OpenedTunnel>;

function handlerFor(spec: ListenerSpec, options: FrontDoorOptions, decrypted: Decrypted): RequestHandler {
  if (spec.redirectToHttps === true) {
    return (request, response) => redirectToHttps(options.publicUrl, options.handler)(request, response);
  }
  const { handler, forward } = options;
  if (spec.forward !== true || forward === undefined) return handler;
  return (request, response) => {
    const tunnel = decrypted.get(request.socket);
    if (tunnel !== undefined) return forward.handleDecrypted(request, response, tunnel);
    return (isAbsoluteForm(request.url ?? '') ? forward.handle : handler)(request, response);
  };
}

/** What is wrong with a CONNECT before anybody looks where it leads. */
function refusalOfTunnel(request: IncomingMessage, connections: Connections): OciError | undefined {
  if (connections.draining) return new OciError('UNAVAILABLE', 'this server is about to stop');
  if (request.rawHeaders.length / 2 > MAX_HEADERS) return refusedHeaders();
  return refusalOfHost(request);
}

function refusedHeaders(): OciError {
  return refusal('UNSUPPORTED', 431, `the request has more than ${MAX_HEADERS} headers`);
}

function refusalOfHost(request: IncomingMessage): OciError | undefined {
  const fault = faultOfHost(request);
  return fault === undefined ? undefined : refusal('UNSUPPORTED', 400, fault);
}

/** Sets what a server goes by from now on. */
function limitServer(server: Server | HttpsServer, spec: ListenerSpec, options: FrontDoorOptions): void {
  const { timeouts = {}, limits = {} } = options;
  server.maxConnections = limits.maxConnections ?? 16_384;
  server.timeout = timeouts.clientStall ?? 60_000;
  const { headersTimeout, requestTimeout, keepAliveTimeout } = requestTimes(timeouts);
  Object.assign(server, { headersTimeout, requestTimeout, keepAliveTimeout });
}

function requestTimes(timeouts: FrontDoorTimeouts): {
  readonly headersTimeout: number;
  readonly requestTimeout: number;
  readonly keepAliveTimeout: number;
} {
  const requestTimeout = timeouts.read ?? 0;
  const readHeader = timeouts.readHeader ?? 10_000;
  const headersTimeout = requestTimeout === 0 ? readHeader : Math.min(readHeader, requestTimeout);
  return { headersTimeout, requestTimeout, keepAliveTimeout: timeouts.idle ?? 65_000 };
}

function serverSettings(spec: ListenerSpec, { timeouts = {}, limits = {} }: FrontDoorOptions): ServerOptions {
  const times = requestTimes(timeouts);
  return {
    ...times,
    // How often the two above are looked at: Node's 30 s would let a slow head live four times its time.
    connectionsCheckingInterval: Math.min(
      1000,
      Math.max(10, Math.floor((times.headersTimeout || times.requestTimeout) / 4)),
    ),
    maxHeaderSize: limits.maxHeaderBytes ?? 16_384,
    // Said outright, so that no NODE_OPTIONS can open the way for request smuggling.
    insecureHTTPParser: false,
    noDelay: true,
    // Finds clients that vanished while their request waits for an upstream.
    keepAlive: true,
    keepAliveInitialDelay: 60_000,
    // curl and Java's client offer `Upgrade: h2c` with any plain request and are content without it (RFC 9110, 7.8).
    shouldUpgradeCallback: (request) => !/^\s*h2c\s*$/i.test(request.headers.upgrade ?? ''),
  };
}

/** Where somebody is trusted, who asks is settled before anybody looks. */
function introduceBy(trusted: TrustedProxies | undefined, request: IncomingMessage): void {
  if (trusted !== undefined) setClientInfo(request, identifyClient(introductionOf(request), trusted));
}

function listenToRequests(
  server: Server | HttpsServer,
  options: FrontDoorOptions,
  {
    connections,
    decrypted,
    handler,
  }: { readonly connections: Connections; readonly decrypted: Decrypted; readonly handler: RequestHandler },
): void {
  function take(request: IncomingMessage, response: ServerResponse): void {
    const socket = request.socket;
    if (!connections.begin(socket, response)) return;
    // Nobody may send us a body on the pull path; if one comes, the next request would have to be found behind it.
    if (hasBody(request)) response.shouldKeepAlive = false;
    const writeTimeout = options.timeouts?.write ?? 0;
    if (writeTimeout > 0) {
      const timer = setTimeout(() => socket.destroy(), writeTimeout);
      response.once('close', () => clearTimeout(timer));
    }
    if (request.rawHeaders.length / 2 > MAX_HEADERS) {
      answer(response, refusedHeaders());
      return;
    }
    const refused = refusalOfHost(request);
    if (refused !== undefined) {
      answer(response, refused);
      return;
    }
    // Within a tunnel speaks the client itself, of whom nothing is believed.
    if (!decrypted.has(socket)) introduceBy(options.trustedProxies, request);
    void run(request, response);
  }

  async function run(request: IncomingMessage, response: ServerResponse): Promise<void> {
    try {
      await handler(request, response);
    } catch (error) {
      options.onWarning?.('a request failed where it should not', error);
      // What was begun must not look complete; what was not begun can still be answered.
      if (response.headersSent) response.destroy();
      else answer(response, new OciError('UNKNOWN', 'the server failed to handle this request'));
    }
  }

  server.on('request', take);
  // The final answer instead of 100: a client that asks before it sends is spared the sending (RFC 9110, 10.1.1).
  server.on('checkContinue', take);
  server.on('checkExpectation', (request: IncomingMessage, response: ServerResponse) => {
    if (connections.begin(request.socket, response))
      answer(response, refusal('UNSUPPORTED', 417, 'the only expectation understood is 100-continue'));
  });
}

function listenToRefusals(server: Server | HttpsServer, options: FrontDoorOptions, connections: Connections): void {
  server.on('clientError', (error: NodeJS.ErrnoException, stream: Duplex) => {
    const socket = stream as Socket;
    // Unknown here means in a TLS handshake; anything under way means our answer would land inside another.
    if (error.code === 'ECONNRESET' || !connections.isQuiet(socket)) socket.destroy();
    else refuseOnSocket(socket, refusalOf(error.code));
  });
  server.on('upgrade', (_request: IncomingMessage, socket: Duplex) => {
    refuseOnSocket(socket, refusal('UNSUPPORTED', 400, 'this server speaks HTTP/1.1 only'));
  });
  let warnedAt = Number.NEGATIVE_INFINITY;
  server.on('drop', () => {
    if (performance.now() - warnedAt < DROP_WARNING_INTERVAL_MS) return;
    warnedAt = performance.now();
    options.onWarning?.(
      `connections are refused: ${server.maxConnections} are open, as many as limits.max_connections`,
    );
  });
}

function hasBody({ headers }: IncomingMessage): boolean {
  return headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) !== 0;
}

function answer(response: ServerResponse, error: OciError): void {
  const body = error.toBody();
  response.shouldKeepAlive = false;
  for (const name of response.getHeaderNames()) response.removeHeader(name);
  response.writeHead(error.status, {
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(body),
    'docker-distribution-api-version': 'registry/2.0',
  });
  response.end(body);
}
