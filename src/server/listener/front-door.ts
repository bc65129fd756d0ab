import type { IncomingMessage, Server, ServerOptions, ServerResponse } from 'node:http';
import type { Server as HttpsServer } from 'node:https';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { OciError } from '../../oci/index.ts';
import {
  connectionInfoOf,
  createServer,
  faultOfHost,
  hasBody,
  identifyClient,
  type RequestHandler,
  setClientInfo,
  type TrustedProxies,
} from '../exchange/index.ts';
import type { PublicUrls } from '../public-url.ts';
import { CertificateKeeper, type ListenerCertificate } from '../tls/index.ts';
import { Connections } from './connections.ts';
import { redirectToHttps } from './https-redirect.ts';
import { formatAddress, type ListenerAddress, type ListenerSpec, openListener } from './listener.ts';
import { type ParseError, refusalOf, refuseOnSocket } from './refuse.ts';
import { type Forward, isAbsoluteForm, type OpenedTunnel, type TunnelDoor } from './tunnel.ts';

/** All in milliseconds; 0 switches a limit off unless said otherwise. */
interface FrontDoorTimeouts {
  /** From a connection's first byte (or from its opening) to the end of the request head. @default 10_000 */
  readonly readHeaderTimeout?: number;
  /** For the whole request, its body included: a hard limit. A stalled body ends sooner, by `clientStallTimeout`. @default 0 */
  readonly readTimeout?: number;
  /** For the whole response: a hard limit, which cuts slow clients and large layers alike. @default 0 */
  readonly writeTimeout?: number;
  /** Between two requests of a connection; longer than load balancers keep theirs (60 s), so that they close first. @default 65_000 */
  readonly idleTimeout?: number;
  /** Without the client taking a byte of an answer. @default 60_000 */
  readonly clientStallTimeout?: number;
}

interface FrontDoorLimits {
  /** Bytes of a request head. @default 16_384 */
  readonly maxHeaderBytes?: number;
  /** Connections at once, per listener; further ones are closed at once. @default 16_384 */
  readonly maxConnections?: number;
}

/** Settings that may change while the front door is open. */
interface FrontDoorSettings {
  /** Where `redirectToHttps` leads, if it is an HTTPS URL. */
  readonly publicUrls?: PublicUrls | undefined;
  /** Proxies whose forwarded headers are believed. @default none */
  readonly trustedProxies?: TrustedProxies | undefined;
  readonly timeouts?: FrontDoorTimeouts;
  /** `maxHeaderBytes` cannot change: it keeps the value the listeners were opened with. */
  readonly limits?: FrontDoorLimits;
}

export interface FrontDoorOptions extends FrontDoorSettings {
  readonly listeners: readonly ListenerSpec[];
  /** Handles every request to this server. */
  readonly handler: RequestHandler;
  /** Handles every request on listeners with `admin`. @default as `handler` does */
  readonly adminHandler?: RequestHandler | undefined;
  /** Handles requests for other servers, on listeners with `forward`. @default they are refused */
  readonly forward?: Forward | undefined;
  /** Whether a request target is handled here on a listener that redirects to HTTPS. @default none */
  readonly isNeverRedirected?: ((target: string) => boolean) | undefined;
  /** Called for each certificate that was renewed from its file. */
  readonly onRenewed?: (certificate: ListenerCertificate) => void;
  /** Milliseconds between two checks of the TLS files. @default 30_000 */
  readonly certificateInterval?: number | undefined;
  /** Called for failures outside of a request, and for errors that a handler throws. */
  readonly onWarning?: (message: string, error?: unknown) => void;
}

interface StopOptions {
  /** Milliseconds for responses to finish; 0 cuts at once. @default 30_000 */
  readonly timeoutMs?: number;
}

/** A registry client sends about ten headers. Node drops further ones silently, so they are counted and refused here. */
const MAX_HEADERS = 100;

/** A TLS handshake takes two round trips. */
const HANDSHAKE_TIMEOUT_MS = 10_000;

/** Milliseconds between two warnings while connections are refused. */
const DROP_WARNING_INTERVAL_MS = 10_000;

/** The listeners of this server. */
export class FrontDoor {
  /** One object for all listeners: `adjust` changes it, and each request reads it again. */
  readonly #options: FrontDoorOptions;
  readonly #connections = new Connections();
  readonly #keeper: CertificateKeeper;
  readonly #servers: (Server | HttpsServer)[] = [];
  #stopping: Promise<{ readonly cut: number }> | undefined;
  #cut = 0;

  constructor(options: FrontDoorOptions) {
    this.#options = { ...options };
    const { onWarning, onRenewed, certificateInterval: interval } = options;
    this.#keeper = new CertificateKeeper({ onWarning, onRenewed, interval });
  }

  /** Responses and tunnels under way. */
  get inFlight(): number {
    return this.#connections.inFlight;
  }

  /** Connections open, idle ones included. */
  get connections(): number {
    return this.#connections.open;
  }

  /** The certificates in use. */
  get certificates(): readonly ListenerCertificate[] {
    return this.#keeper.certificates;
  }

  /** Opens every listener, or none. @throws {ListenError} or an Error that names a TLS file */
  async start(): Promise<readonly ListenerAddress[]> {
    const addresses: ListenerAddress[] = [];
    const httpsPort = () => addresses.find(({ protocol, port }) => protocol === 'https' && port !== undefined)?.port;
    const parts = { connections: this.#connections, keeper: this.#keeper, httpsPort };
    try {
      for (const spec of this.#options.listeners) {
        const server = await createListenerServer(spec, this.#options, parts);
        this.#servers.push(server);
        addresses.push(await openListener(server, spec));
        // Accepting can fail later too (no descriptors left). Listener and server go on.
        server.on('error', (error) => this.#options.onWarning?.('a listener failed to accept a connection', error));
      }
    } catch (error) {
      await this.stop({ timeoutMs: 0 });
      throw error;
    }
    this.#keeper.start();
    return addresses;
  }

  /**
   * Refuses new connections, lets running responses finish up to the limit, cuts the rest. Resolves when every socket is
   * closed, with the number of responses cut. Called again, it may only shorten the time.
   */
  stop({ timeoutMs = 30_000 }: StopOptions = {}): Promise<{ readonly cut: number }> {
    this.#stopping ??= this.#drain();
    const deadline = setTimeout(() => {
      this.#cut += this.#connections.cut();
    }, timeoutMs);
    return this.#stopping.finally(() => clearTimeout(deadline));
  }

  async #drain(): Promise<{ readonly cut: number }> {
    this.#keeper.stop();
    const closed = this.#servers.map((server) => new Promise<void>((resolve) => server.close(() => resolve())));
    await this.#connections.drain();
    this.#connections.farewell();
    await Promise.all(closed);
    return { cut: this.#cut };
  }

  /**
   * Reads and checks the TLS files again. The function it returns puts them to use, for new connections; on an error the
   * certificates in use stay.
   *
   * @param listeners those that are open, perhaps with other TLS files; by default with the same
   */
  prepareCertificates(listeners = this.#options.listeners): Promise<() => void> {
    return this.#keeper.prepare(listeners.flatMap(({ tls }) => tls ?? []));
  }

  /** Looks now whether TLS files have changed. */
  checkCertificates(): void {
    this.#keeper.check();
  }

  /** Applies other limits and times, to new connections and to new requests on open ones. */
  adjust({ publicUrls, trustedProxies, timeouts = {}, limits = {} }: FrontDoorSettings): void {
    Object.assign(this.#options, { publicUrls, trustedProxies, timeouts, limits });
    for (const server of this.#servers) limitServer(server, this.#options);
  }
}

async function createListenerServer(
  spec: ListenerSpec,
  options: FrontDoorOptions,
  {
    connections,
    keeper,
    httpsPort,
  }: Pick<HandlerParts, 'httpsPort'> & { readonly connections: Connections; readonly keeper: CertificateKeeper },
): Promise<Server | HttpsServer> {
  const settings = serverSettings(options);
  let server: Server | HttpsServer;
  if (spec.tls === undefined) {
    server = createServer(settings);
    server.on('connection', (socket: Socket) => connections.establish(socket));
  } else {
    // TLS takes 10 ms to load, and most mirrors stand behind a TLS proxy or on loopback.
    const https = await import('node:https');
    const { serve, ...pair } = await keeper.open(formatAddress(spec), spec.tls);
    const secure = https.createServer({
      ...settings,
      ...pair,
      minVersion: 'TLSv1.2',
      handshakeTimeout: HANDSHAKE_TIMEOUT_MS,
      ALPNProtocols: ['http/1.1'],
    });
    secure.on('secureConnection', (socket) => connections.establish(socket));
    serve(secure);
    server = secure;
  }
  server.maxHeadersCount = MAX_HEADERS + 1;
  limitServer(server, options);
  server.on('connection', (socket: Socket) => connections.accept(socket));
  server.on('timeout', (socket: Socket) => connections.timedOut(socket));
  const decrypted: Decrypted = new WeakMap();
  const handler = handlerFor(spec, options, { decrypted, httpsPort });
  listenToRequests(server, options, { connections, decrypted, handler });
  listenToRefusals(server, options, connections);
  server.on('connect', (request: IncomingMessage, stream: Duplex, head: Buffer) => {
    const socket = stream as Socket;
    const forward = spec.forward === true && !decrypted.has(socket) ? options.forward : undefined;
    if (forward === undefined) {
      const headers = { allow: 'GET, HEAD' };
      return refuseOnSocket(socket, new OciError('UNSUPPORTED', 'this server opens no tunnels', { headers }));
    }
    const stopping = new OciError('UNAVAILABLE', 'this server is about to stop');
    const refused = connections.draining ? stopping : refusalOfHead(request);
    if (!connections.surrender(socket)) return;
    identifyBy(options.trustedProxies, request);
    if (refused === undefined) forward.connect(request, socket, head, door);
    else refuseOnSocket(socket, refused);
  });
  const door: TunnelDoor = {
    hold: (tunnel) => connections.hold(tunnel),
    serve: (socket, tunnel) => {
      decrypted.set(socket, tunnel);
      // As if it had been accepted here: the limits, timeouts and refusals of the listener apply within tunnels too.
      server.emit(spec.tls === undefined ? 'connection' : 'secureConnection', socket);
    },
  };
  return server;
}

/** Decrypted connections, each with its tunnel. */
type Decrypted = WeakMap<Socket, OpenedTunnel>;

interface HandlerParts {
  readonly decrypted: Decrypted;
  /** The port of the first HTTPS listener; undefined where there is none. */
  readonly httpsPort: () => number | undefined;
}

function handlerFor(
  spec: ListenerSpec,
  options: FrontDoorOptions,
  { decrypted, httpsPort }: HandlerParts,
): RequestHandler {
  if (spec.redirectToHttps === true) {
    return (request, response) => {
      const { publicUrls, trustedProxies } = options;
      // Behind a proxy, the host that clients name is the proxy's, and so is its HTTPS port.
      const port = trustedProxies === undefined ? httpsPort() : undefined;
      if (options.isNeverRedirected?.(request.url ?? '/') === true) return options.handler(request, response);
      return redirectToHttps({ publicUrls, port }, options.handler)(request, response);
    };
  }
  const { handler, adminHandler, forward } = options;
  if (spec.admin === true) return adminHandler ?? handler;
  if (spec.forward !== true || forward === undefined) return handler;
  return (request, response) => {
    const tunnel = decrypted.get(request.socket);
    if (tunnel !== undefined) return forward.handleDecrypted(request, response, tunnel);
    return (isAbsoluteForm(request.url ?? '') ? forward.handle : handler)(request, response);
  };
}

/** The refusal of a request by its head alone; undefined where nothing is wrong with it. */
function refusalOfHead(request: IncomingMessage): OciError | undefined {
  if (request.rawHeaders.length / 2 > MAX_HEADERS) {
    return new OciError('UNSUPPORTED', `the request has more than ${MAX_HEADERS} headers`, { status: 431 });
  }
  const fault = faultOfHost(request);
  return fault === undefined ? undefined : new OciError('UNSUPPORTED', fault, { status: 400 });
}

/** Applies limits and times to a server, from now on. */
function limitServer(server: Server | HttpsServer, { timeouts = {}, limits = {} }: FrontDoorOptions): void {
  server.maxConnections = limits.maxConnections ?? 16_384;
  server.timeout = timeouts.clientStallTimeout ?? 60_000;
  Object.assign(server, requestTimes(timeouts));
}

function requestTimes({ readTimeout = 0, readHeaderTimeout = 10_000, idleTimeout = 65_000 }: FrontDoorTimeouts) {
  const headersTimeout = readTimeout === 0 ? readHeaderTimeout : Math.min(readHeaderTimeout, readTimeout);
  return { headersTimeout, requestTimeout: readTimeout, keepAliveTimeout: idleTimeout };
}

function serverSettings({ timeouts = {}, limits = {} }: FrontDoorOptions): ServerOptions {
  const times = requestTimes(timeouts);
  return {
    ...times,
    // How often Node checks the first two: its 30 s would let a slow head live for four times its limit.
    connectionsCheckingInterval: Math.min(
      1000,
      Math.max(10, Math.floor((times.headersTimeout || times.requestTimeout) / 4)),
    ),
    maxHeaderSize: limits.maxHeaderBytes ?? 16_384,
    // Explicit, so that no NODE_OPTIONS can open the way for request smuggling.
    insecureHTTPParser: false,
    // Node would answer without a body. `refusalOfHead` refuses the same requests, in the protocol's form.
    requireHostHeader: false,
    noDelay: true,
    // Detects clients that vanish while their request waits for an upstream.
    keepAlive: true,
    keepAliveInitialDelay: 60_000,
    // curl and Java's client offer `Upgrade: h2c` with any plain request and accept an answer without it (RFC 9110 §7.8).
    shouldUpgradeCallback: (request) => !/^\s*h2c\s*$/i.test(request.headers.upgrade ?? ''),
  };
}

/** Identifies the client before any handler reads it, where proxies are trusted. */
function identifyBy(trusted: TrustedProxies | undefined, request: IncomingMessage): void {
  if (trusted !== undefined) setClientInfo(request, identifyClient(connectionInfoOf(request), trusted));
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
    if (hasBody(request)) keepAliveOnlyBehind(request, response, connections);
    const writeTimeout = options.timeouts?.writeTimeout ?? 0;
    if (writeTimeout > 0) {
      const timer = setTimeout(() => socket.destroy(), writeTimeout);
      response.once('close', () => clearTimeout(timer));
    }
    const refused = refusalOfHead(request);
    if (refused !== undefined) {
      answer(response, refused);
      return;
    }
    // In a tunnel, the client itself sends the headers: a forwarded address among them is never believed.
    if (!decrypted.has(socket)) identifyBy(options.trustedProxies, request);
    void run(request, response);
  }

  async function run(request: IncomingMessage, response: ServerResponse): Promise<void> {
    try {
      await handler(request, response);
    } catch (error) {
      options.onWarning?.('a request handler failed', error);
      // A started answer must not look complete; one that was not started can still be an error.
      if (response.headersSent) response.destroy();
      else answer(response, new OciError('UNKNOWN', 'the server failed to handle this request'));
    }
  }

  server.on('request', take);
  // A final answer instead of 100 spares the client the sending of its body (RFC 9110 §10.1.1).
  server.on('checkContinue', take);
  server.on('checkExpectation', (request: IncomingMessage, response: ServerResponse) => {
    if (connections.begin(request.socket, response))
      answer(response, new OciError('UNSUPPORTED', 'the only expectation understood is 100-continue', { status: 417 }));
  });
}

/**
 * Ends the connection with the answer, unless that begins once a body that belongs to the request was read to its end: behind any other,
 * the next request would have to be found. A pull has no body.
 */
function keepAliveOnlyBehind(request: IncomingMessage, response: ServerResponse, connections: Connections): void {
  const { shouldKeepAlive } = response;
  response.shouldKeepAlive = false;
  if (request.method === 'GET' || request.method === 'HEAD') return;
  request.once('end', () => {
    if (!response.headersSent && !connections.draining) response.shouldKeepAlive = shouldKeepAlive;
  });
}

function listenToRefusals(server: Server | HttpsServer, options: FrontDoorOptions, connections: Connections): void {
  server.on('clientError', (error: ParseError, stream: Duplex) => {
    const socket = stream as Socket;
    // An unknown socket is in its TLS handshake. With a response under way, the refusal would land inside it.
    if (error.code === 'ECONNRESET' || !connections.isQuiet(socket)) socket.destroy();
    else refuseOnSocket(socket, refusalOf(error));
  });
  server.on('upgrade', (_request: IncomingMessage, socket: Duplex) => {
    refuseOnSocket(socket, new OciError('UNSUPPORTED', 'this server speaks HTTP/1.1 only', { status: 400 }));
  });
  let warnedAt = Number.NEGATIVE_INFINITY;
  server.on('drop', () => {
    if (performance.now() - warnedAt < DROP_WARNING_INTERVAL_MS) return;
    warnedAt = performance.now();
    options.onWarning?.(
      `connections are refused: ${server.maxConnections} are open, as many as limits.max_connections allows`,
    );
  });
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
