import type { IncomingMessage, ServerResponse } from 'node:http';
import { isIP, type Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { CredentialError, type Guard, nameOf, type Principal, TooManyGuessesError } from '../access/index.ts';
import { loopIn } from '../lib/index.ts';
import type { Dial, Dialled, DialTarget } from '../net/index.ts';
import {
  type Admission,
  clientInfoOf,
  type Forward,
  type ForwardTarget,
  hasBody,
  isLoopback,
  nextRequestId,
  type OpenedTunnel,
  RequestContext,
  type RequestHandler,
  setClientInfo,
  TextRefusal,
  type TunnelDoor,
} from '../server/index.ts';
import { redactUrl, type Telemetry } from '../telemetry/index.ts';
import { type ForwardCredential, holdsCredential } from './credential.ts';
import { refuseForward, refuseTunnel, toTextRefusal } from './refusal.ts';
import { Relay, type RelayEnd } from './relay.ts';
import { rememberHeaders, shownHeaders } from './shown-headers.ts';
import { streamToHost } from './stream.ts';
import { formatAuthority, parseAbsoluteTarget, parseConnectTarget } from './target.ts';

export interface ForwardOptions {
  /** Whether a host is on the allow-list: see `compileAllowedHosts`. */
  readonly isAllowed: (host: string) => boolean;
  /** Ports that clients may reach. */
  readonly ports: readonly number[];
  /** Hosts, addresses and blocks that clients may reach though they are private. */
  readonly allowPrivate: readonly string[];
  /** The credential that clients need, read at each request. @default none */
  readonly credential: (() => Promise<ForwardCredential>) | undefined;
  /** Decides by the rules of `access:`, instead of `credential` and `anonymous`. @default none are configured */
  readonly guard?: Guard | undefined;
  /** Whether clients on other machines are served where no credential is set. */
  readonly anonymous: boolean;
  /** Tunnels at once, decrypted ones included. */
  readonly maxTunnels: number;
  /** Shared count of open tunnels. @default a count of its own */
  readonly openTunnels?: OpenTunnels | undefined;
  /** Milliseconds without a byte after which a tunnel ends. */
  readonly idleTimeout: number;
  /** Milliseconds. */
  readonly responseHeaderTimeout: number;
  /** Milliseconds. */
  readonly bodyIdleTimeout: number;
  readonly dial: Dial;
  readonly telemetry: Telemetry;
  /** Whether this server itself answers registry API requests for this host. */
  readonly isRegistry: (target: ForwardTarget) => boolean;
  /** Answers them. */
  readonly dispatch: RequestHandler;
  /** Gives out the slots of requests; tunnels have a limit of their own. @default no limit */
  readonly admission?: Admission | undefined;
  /** The name of this server in `Via`; see `createPseudonym`. */
  readonly pseudonym: string;
  /** Ports this server listens on. */
  readonly ownPorts: () => ReadonlySet<number>;
  /** Decrypts tunnels. @default they stay encrypted */
  readonly interceptor?: Interceptor | undefined;
}

/** The number of open tunnels. */
export interface OpenTunnels {
  count: number;
}

/** Ends a client's TLS in place of the requested host, so that its requests can be answered here. */
export interface Interceptor {
  /**
   * @param socket on which the client is about to start its handshake
   * @param options.serve takes the decrypted connection
   */
  intercept(socket: Socket, options: OpenedTunnel & { readonly serve: (socket: TLSSocket) => void }): void;
}

/** A request for a target on the allow-list. */
interface Routed extends OpenedTunnel {
  readonly path: string;
  /** Whether it came out of a decrypted tunnel. */
  readonly secure: boolean;
}

const ESTABLISHED = 'HTTP/1.1 200 Connection established\r\n\r\n';
/** A tunnel to this port carries plain HTTP: there is nothing to decrypt. */
const PLAIN_PORT = 80;
/** Seconds after which a client may try again where all tunnels are taken. */
const RETRY_AFTER = '5';

/**
 * A forward proxy to the hosts on its allow-list, and to no other.
 *
 * ```
 *  client allowed? (407, 403) ─▶ target well-formed? (400) ─▶ host and port listed? (403) ─▶ address public, not ours? (403)
 *    GET http://…   a registry's API: this server's own dispatch · anything else: streamed, one connection each
 *    CONNECT        a tunnel · with an interceptor: decrypted, then as above with https
 * ```
 */
export function createForward(options: ForwardOptions): Forward {
  const { telemetry } = options;
  const { openTunnels = { count: 0 }, pseudonym } = options;

  /** @returns the principal, where rules are configured @throws {TextRefusal} */
  async function admit(request: IncomingMessage): Promise<Principal | undefined> {
    // Node reads a request line without a version as HTTP/0.9, which has no headers and no proxies.
    if (request.httpVersionMajor !== 1) throw new TextRefusal(400, 'the request line names no version of HTTP/1');
    if (options.guard !== undefined) return await admitGuarded(request, { guard: options.guard, telemetry });
    if (options.credential === undefined) {
      if (options.anonymous || isLocalClient(request)) return undefined;
      throw new TextRefusal(
        403,
        'this forward proxy takes requests from its own machine only; forward_proxy.user and password, or anonymous, open it',
      );
    }
    if (holdsCredential(request.headers['proxy-authorization'], await options.credential())) return undefined;
    throw requiresLogin('this forward proxy requires a user and a password');
  }

  function requireListed({ host, port }: ForwardTarget): void {
    if (!options.isAllowed(host)) throw new TextRefusal(403, `${host} is not among forward_proxy.allowed_hosts`);
    if (!options.ports.includes(port)) throw new TextRefusal(403, `port ${port} is not among forward_proxy.ports`);
  }

  /** Connects to a target that is on the allow-list. */
  async function reach(
    { host, port }: ForwardTarget,
    { secure, ...more }: { readonly secure: boolean } & Pick<DialTarget, 'signal' | 'onread'>,
  ): Promise<Dialled> {
    const dialled = await options.dial({
      protocol: secure ? 'https:' : 'http:',
      host: isIP(host) === 6 ? `[${host}]` : host,
      port,
      addresses: { kind: 'public', allow: options.allowPrivate },
      ...more,
    });
    if (!isOwn(dialled.connection)) return dialled;
    dialled.socket.destroy();
    throw refusedLoop(`loop: ${formatAuthority({ host, port })} is this server itself`);
  }

  /** Whether a connection leads back to a listener of this server. */
  function isOwn({ remoteAddress, remotePort, localAddress }: Socket): boolean {
    if (remoteAddress === undefined || remotePort === undefined || !options.ownPorts().has(remotePort)) return false;
    return remoteAddress === localAddress || isLoopback(remoteAddress);
  }

  /** Takes a request in clear text to this server's own dispatch, or to its real host. */
  async function route(
    request: IncomingMessage,
    response: ServerResponse,
    { target, path, client, principal, secure }: Routed,
  ): Promise<void> {
    const entryPoint = secure ? 'mitm' : 'forward';
    // The target named in the request line beats the header (RFC 9112 §3.2.2).
    const host = formatAuthority(target, secure ? 443 : 80);
    setClientInfo(request, { address: client, scheme: secure ? 'https' : 'http', host, entryPoint, principal });
    request.url = path;
    if (secure && telemetry.hears('mitm.exchange')) showExchange(request, response, target);
    if (/^\/v2(?:[/?]|$)/.test(path) && options.isRegistry(target)) {
      request.headers.host = host;
      await options.dispatch(request, response);
      return;
    }
    const context = new RequestContext(request, response, telemetry);
    context.route = entryPoint;
    const loop = loopIn(request.headers.via, pseudonym);
    if (loop !== undefined) return refuseForward(context, refusedLoop(loop));
    await streamToHost(context, {
      target,
      secure,
      pseudonym,
      responseHeaderTimeout: options.responseHeaderTimeout,
      bodyIdleTimeout: options.bodyIdleTimeout,
      admit: async () => options.admission?.admit(context),
      reach: (reads) => reach(target, { secure, ...reads }),
    });
  }

  /** Publishes the headers of both sides once the answer has ended: on the wire they are encrypted. */
  function showExchange(request: IncomingMessage, response: ServerResponse, target: ForwardTarget): void {
    const { method = '', url = '/' } = request;
    const requestHeaders = shownHeaders(request.headers);
    const responseHeaders = rememberHeaders(response);
    response.once('close', () => {
      telemetry.publish('mitm.exchange', {
        method,
        url: `https://${formatAuthority(target, 443)}${url.replace(/\?.*$/s, '')}`,
        status: response.headersSent ? response.statusCode : 0,
        requestHeaders,
        responseHeaders: shownHeaders(responseHeaders()),
      });
    });
  }

  async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = request.url ?? '';
    try {
      const principal = await admit(request);
      const target = parseAbsoluteTarget(url);
      requireListed(target);
      if (target.scheme === 'https') throw new TextRefusal(400, 'for https:// there is CONNECT');
      await route(request, response, {
        target,
        path: target.path,
        client: clientInfoOf(request).address,
        principal,
        secure: false,
      });
    } catch (error) {
      const refusal = toTextRefusal(error);
      if (refusal === undefined) throw error;
      request.url = redactUrl(url);
      const context = new RequestContext(request, response, telemetry);
      context.route = 'forward';
      refuseForward(context, refusal);
    }
  }

  async function handleDecrypted(
    request: IncomingMessage,
    response: ServerResponse,
    { target, client, principal }: OpenedTunnel,
  ): Promise<void> {
    setClientInfo(request, { ...clientInfoOf(request), address: client });
    const named = namedBy(request);
    try {
      // Another name than the one on the certificate would be a way around the allow-list.
      if (named === undefined || named.host !== target.host || named.port !== target.port) {
        throw new TextRefusal(421, 'the Host header names another host than the tunnel leads to');
      }
      // A client may keep its tunnel for days, and the allow-list and the rules may change by then.
      requireListed(target);
      const { guard } = options;
      // The client shows no credential within its tunnel, by which the file of users would be looked at.
      await guard?.refresh();
      if (guard !== undefined) requireAllowed({ guard, telemetry }, principal);
    } catch (error) {
      const refusal = toTextRefusal(error);
      if (refusal === undefined) throw error;
      const context = new RequestContext(request, response, telemetry);
      context.route = 'mitm';
      return refuseForward(context, refusal);
    }
    await route(request, response, { target, path: named.path, client, principal, secure: true });
  }

  function connect(request: IncomingMessage, socket: Socket, head: Buffer, door: TunnelDoor): void {
    const report = new TunnelReport(request, telemetry);
    open(request, socket, { head, door, report }).catch((error: unknown) => {
      const known = toTextRefusal(error);
      if (known === undefined) telemetry.publish('warning', { message: 'Cannot open a tunnel', error });
      const refusal = known ?? new TextRefusal(500, 'the tunnel failed by a defect of this server');
      report.finish({ status: socket.destroyed ? 0 : refusal.status, error: refusal.message });
      refuseTunnel(socket, refusal);
    });
  }

  async function open(request: IncomingMessage, socket: Socket, { head, door, report }: TunnelRequest): Promise<void> {
    const principal = await admit(request);
    // A body would mean that the bytes behind the head are not the tunnel's yet (RFC 9110 §9.3.6).
    if (hasBody(request)) throw new TextRefusal(400, 'CONNECT takes no body');
    const target = parseConnectTarget(request.url ?? '');
    report.target = target;
    requireListed(target);
    if (openTunnels.count >= options.maxTunnels) {
      throw new TextRefusal(503, `all ${options.maxTunnels} tunnels are taken`, { 'retry-after': RETRY_AFTER });
    }
    if (socket.destroyed) return report.finish({ status: 0, error: 'the client left' });
    openTunnels.count += 1;
    const release = (): void => void (openTunnels.count -= 1);
    const { interceptor } = options;
    if (interceptor === undefined || target.port === PLAIN_PORT) {
      return await tunnel(socket, { target, head, door, report }).finally(release);
    }
    socket.once('close', release);
    socket.write(ESTABLISHED);
    if (head.length > 0) socket.unshift(head);
    const client = clientInfoOf(request).address;
    const serve = (decrypted: TLSSocket): void => door.serve(decrypted, { target, client, principal });
    interceptor.intercept(socket, { target, client, principal, serve });
  }

  /** Resolves when both connections are closed. */
  async function tunnel(
    client: Socket,
    { target, head, door, report }: TunnelRequest & { readonly target: ForwardTarget },
  ): Promise<void> {
    const left = new AbortController();
    const leave = (): void => left.abort(new Error('the client left'));
    client.once('close', leave);
    const relay = new Relay({ idleTimeout: options.idleTimeout });
    const { socket } = await reach(target, { secure: false, onread: relay.onread, signal: left.signal });
    client.off('close', leave);
    client.write(ESTABLISHED);
    const release = door.hold(relay);
    const end = await relay.run({ client, target: socket, first: head });
    release();
    report.finish({ status: 200, bytes: relay.received, received: relay.sent, error: ENDS[end] });
  }

  return {
    handle,
    handleDecrypted,
    connect,
    get tunnels() {
      return openTunnels.count;
    },
  };
}

interface Guarded {
  readonly guard: Guard;
  readonly telemetry: Telemetry;
}

async function admitGuarded(request: IncomingMessage, guarded: Guarded): Promise<Principal> {
  const authorization = request.headers['proxy-authorization'];
  try {
    // A token is made for the registry API.
    const { address } = clientInfoOf(request);
    const { principal } = await guarded.guard.identify({ authorization, address, audience: undefined });
    return requireAllowed(guarded, principal);
  } catch (error) {
    if (error instanceof CredentialError) throw requiresLogin(error.message);
    if (error instanceof TooManyGuessesError) {
      throw new TextRefusal(429, error.message, { 'retry-after': String(error.retryAfter) });
    }
    throw error;
  }
}

/** @throws {TextRefusal} where the rules do not let the principal use the proxy, or the user was removed */
function requireAllowed({ guard, telemetry }: Guarded, principal: Principal | undefined): Principal {
  // A tunnel from before the rules: its client has to open another one.
  if (principal === undefined) throw requiresLogin('this forward proxy requires a user and a password');
  const action = 'proxy';
  const decision = guard.authorize({ principal, action, repository: undefined });
  const verdict = decision.allowed ? 'allowed' : 'denied';
  const outcome = {
    principal: nameOf(principal),
    action,
    registry: undefined,
    repository: undefined,
    verdict,
  } as const;
  telemetry.publish('access.decided', outcome);
  if (decision.allowed) return principal;
  if (principal.kind === 'anonymous') throw requiresLogin(`${decision.reason}; log in`);
  throw new TextRefusal(403, decision.reason);
}

function requiresLogin(message: string): TextRefusal {
  return new TextRefusal(407, message, { 'proxy-authenticate': 'Basic realm="entrepot", charset="UTF-8"' });
}

const ENDS: Readonly<Record<RelayEnd, string | undefined>> = {
  ended: undefined,
  broken: 'a side broke off',
  idle: 'nothing moved for too long',
  stalled: 'a side took no bytes for too long',
};

/** RFC 5842, section 7.2. Another request to the same host may not come back, so no cache keeps it. */
function refusedLoop(message: string): TextRefusal {
  return new TextRefusal(508, message, { 'cache-control': 'no-store' });
}

/** A CONNECT under way. */
interface TunnelRequest {
  /** Bytes that the client sent behind its head. */
  readonly head: Buffer;
  readonly door: TunnelDoor;
  readonly report: TunnelReport;
}

interface TunnelOutcome {
  readonly status: number;
  readonly bytes?: number;
  readonly received?: number;
  readonly error?: string | undefined;
}

/** Publishes the `request.finished` event of a CONNECT, once. */
class TunnelReport {
  readonly #id = nextRequestId();
  readonly #started = performance.now();
  readonly #request: IncomingMessage;
  readonly #client: string;
  readonly #telemetry: Telemetry;
  target: ForwardTarget | undefined;

  constructor(request: IncomingMessage, telemetry: Telemetry) {
    this.#request = request;
    // Read now: a closed socket has no address any more.
    this.#client = clientInfoOf(request).address;
    this.#telemetry = telemetry;
  }

  finish({ status, bytes = 0, received = 0, error }: TunnelOutcome): void {
    const authority = this.target === undefined ? undefined : formatAuthority(this.target);
    this.#telemetry.publish('request.finished', {
      id: this.#id,
      method: 'CONNECT',
      path: authority ?? shownTarget(this.#request.url ?? ''),
      status,
      bytes,
      received,
      durationMs: performance.now() - this.#started,
      client: this.#client,
      userAgent: this.#request.headers['user-agent'],
      route: 'tunnel',
      registry: undefined,
      repository: undefined,
      upstream: authority,
      cache: undefined,
      error,
    });
  }
}

/** A malformed target, for the log: without a user and password that may stand before it. */
function shownTarget(text: string): string {
  return redactUrl(text.slice(text.lastIndexOf('@') + 1).slice(0, 300));
}

/** The host and path that a decrypted request itself names; undefined where it names none. */
function namedBy({ url = '/', headers }: IncomingMessage): (ForwardTarget & { readonly path: string }) | undefined {
  try {
    const named = parseAbsoluteTarget(url.startsWith('/') ? `https://${headers.host ?? ''}${url}` : url);
    return named.scheme === 'https' ? named : undefined;
  } catch {
    return undefined;
  }
}

/** Whether a client is on this machine. A client of a Unix socket has no address, and is. */
function isLocalClient(request: IncomingMessage): boolean {
  const { address } = clientInfoOf(request);
  return address === '' ? !request.socket.destroyed : isLoopback(address);
}
