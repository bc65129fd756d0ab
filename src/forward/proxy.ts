import { randomBytes } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { isIP, type Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import type { Dial, Dialled, DialTarget } from '../net/index.ts';
import type { Admission, Forward, ForwardTarget, OpenedTunnel, RequestHandler, TunnelDoor } from '../server/index.ts';
import {
  clientInfoOf,
  isLoopback,
  nextRequestId,
  RequestContext,
  setClientInfo,
  setEntryPoint,
} from '../server/index.ts';
import { redactUrl, type Telemetry } from '../telemetry/index.ts';
import { type ForwardCredential, holdsCredential } from './credential.ts';
import { ForwardRefusal, refuseForward, refuseTunnel, toForwardRefusal } from './refusal.ts';
import { Relay, type RelayEnd } from './relay.ts';
import { rememberHeaders, shownHeaders } from './shown-headers.ts';
import { streamToHost } from './stream.ts';
import { formatAuthority, parseAbsoluteTarget, parseConnectTarget } from './target.ts';

export interface ForwardOptions {
  /** Hosts that may be asked for: see `compileAllowedHosts`. */
  readonly isAllowed: (host: string) => boolean;
  /** Ports that may be asked for. */
  readonly ports: readonly number[];
  /** Hosts, addresses and blocks that may be asked for though they are private. */
  readonly allowPrivate: readonly string[];
  /** Asked for at each request, where there is one. */
  readonly credential: (() => Promise<ForwardCredential>) | undefined;
  /** Whether clients on other machines may do without a credential where there is none. */
  readonly anonymous: boolean;
  /** Tunnels at once, those that are looked into included. */
  readonly maxTunnels: number;
  /** The tunnels open, counted together by those that share it. @default a count of its own */
  readonly openTunnels?: OpenTunnels | undefined;
  /** Milliseconds without a byte that end a tunnel. */
  readonly idleTimeout: number;
  /** Milliseconds. */
  readonly responseHeaderTimeout: number;
  /** Milliseconds. */
  readonly bodyIdleTimeout: number;
  readonly dial: Dial;
  readonly telemetry: Telemetry;
  /** Whether requests to this host for the registry API are answered by this server itself. */
  readonly isRegistry: (target: ForwardTarget) => boolean;
  /** Answers those. */
  readonly dispatch: RequestHandler;
  /** Who is served now; tunnels have a limit of their own. @default everybody */
  readonly admission?: Admission | undefined;
  /** Ports this server listens on. */
  readonly ownPorts: () => ReadonlySet<number>;
  /** Looks into tunnels, where that is wanted. */
  readonly interceptor?: Interceptor | undefined;
}

/** How many tunnels are open. */
export interface OpenTunnels {
  count: number;
}

/** Ends a client's TLS in place of the host it wants, so that its requests can be answered here. */
export interface Interceptor {
  /**
   * @param socket on which the client is about to begin its handshake
   * @param options.serve takes the decrypted connection
   */
  intercept(socket: Socket, options: InterceptOptions): void;
}

export interface InterceptOptions {
  readonly target: ForwardTarget;
  /** Its address, for the log. */
  readonly client: string;
  readonly serve: (socket: TLSSocket) => void;
}

/** A request that is for somebody, by whom it was asked. */
interface Routed {
  readonly target: ForwardTarget;
  readonly path: string;
  /** Address of the client. */
  readonly client: string;
  /** It came out of a tunnel. */
  readonly secure: boolean;
}

const ESTABLISHED = 'HTTP/1.1 200 Connection established\r\n\r\n';
/** In clear text there is nothing to look into. */
const PLAIN_PORT = 80;
/** Seconds after which a client may try again where every tunnel is taken. */
const RETRY_AFTER = '5';

/**
 * A forward proxy that goes where it is allowed to, and nowhere else.
 *
 * ```
 *  client allowed? (407, 403) ─▶ target well-formed? (400) ─▶ host and port listed? (403) ─▶ address public, not ours? (403)
 *    GET http://…   a registry's API: this server's own dispatch · anything else: streamed, one connection each
 *    CONNECT        a tunnel · with an interceptor: decrypted, then as above with https
 * ```
 */
export function createForward(options: ForwardOptions): Forward {
  const { telemetry } = options;
  // Of its own for each process: two servers in a row are no loop.
  const pseudonym = `entrepot-${randomBytes(4).toString('hex')}`;
  const { openTunnels = { count: 0 } } = options;

  async function admit(request: IncomingMessage): Promise<void> {
    // Node takes a request line that ends before its version for HTTP/0.9, which knows no headers and no proxies.
    if (request.httpVersionMajor !== 1) throw new ForwardRefusal(400, 'the request line names no version of HTTP/1');
    if (options.credential === undefined) {
      if (options.anonymous || isLocalClient(request)) return;
      throw new ForwardRefusal(
        403,
        'this forward proxy takes requests from its own machine only; forward_proxy.user and password, or anonymous, open it',
      );
    }
    if (holdsCredential(request.headers['proxy-authorization'], await options.credential())) return;
    throw new ForwardRefusal(407, 'this forward proxy wants a user and a password', {
      'proxy-authenticate': 'Basic realm="entrepot", charset="UTF-8"',
    });
  }

  function judge({ host, port }: ForwardTarget): void {
    if (!options.isAllowed(host)) throw new ForwardRefusal(403, `${host} is not among forward_proxy.allowed_hosts`);
    if (!options.ports.includes(port)) throw new ForwardRefusal(403, `port ${port} is not among forward_proxy.ports`);
  }

  /** Connects to a target that was judged. */
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
    throw new ForwardRefusal(403, `${formatAuthority({ host, port })} is this server itself: that would be a loop`);
  }

  /** Whether a connection leads back to one of our own listeners. */
  function isOwn({ remoteAddress, remotePort, localAddress }: Socket): boolean {
    if (remoteAddress === undefined || remotePort === undefined || !options.ownPorts().has(remotePort)) return false;
    return remoteAddress === localAddress || isLoopback(remoteAddress);
  }

  /** Where a request in clear text goes: to this server's own dispatch, or to its real host. */
  async function route(
    request: IncomingMessage,
    response: ServerResponse,
    { target, path, client, secure }: Routed,
  ): Promise<void> {
    const entrance = secure ? 'mitm' : 'forward';
    setEntryPoint(request, entrance);
    // The target named in the request line beats the header (RFC 9112 §3.2.2).
    const host = formatAuthority(target, secure ? 443 : 80);
    setClientInfo(request, { address: client, scheme: secure ? 'https' : 'http', host });
    request.url = path;
    if (secure && telemetry.hears('mitm.exchange')) showExchange(request, response, target);
    if (/^\/v2(?:[/?]|$)/.test(path) && options.isRegistry(target)) {
      request.headers.host = host;
      await options.dispatch(request, response);
      return;
    }
    const context = new RequestContext(request, response, telemetry);
    context.route = entrance;
    if (request.headers.via?.includes(pseudonym) === true) {
      return refuseForward(context, new ForwardRefusal(403, 'the request was here before: that would be a loop'));
    }
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

  /** What was said by both, once it is; nobody could see it on the wire. */
  function showExchange(request: IncomingMessage, response: ServerResponse, target: ForwardTarget): void {
    const { method = '', url = '/' } = request;
    const requestHeaders = shownHeaders(request.headers);
    const answered = rememberHeaders(response);
    response.once('close', () => {
      telemetry.publish('mitm.exchange', {
        method,
        url: `https://${formatAuthority(target, 443)}${url.replace(/\?.*$/s, '')}`,
        status: response.headersSent ? response.statusCode : 0,
        requestHeaders,
        responseHeaders: shownHeaders(answered()),
      });
    });
  }

  async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const asked = request.url ?? '';
    try {
      await admit(request);
      const target = parseAbsoluteTarget(asked);
      judge(target);
      if (target.scheme === 'https') throw new ForwardRefusal(400, 'for https:// there is CONNECT');
      await route(request, response, {
        target,
        path: target.path,
        client: clientInfoOf(request).address,
        secure: false,
      });
    } catch (error) {
      const refusal = toForwardRefusal(error);
      if (refusal === undefined) throw error;
      request.url = redactUrl(asked);
      const context = new RequestContext(request, response, telemetry);
      context.route = 'forward';
      refuseForward(context, refusal);
    }
  }

  async function handleDecrypted(
    request: IncomingMessage,
    response: ServerResponse,
    { target, client }: OpenedTunnel,
  ): Promise<void> {
    setClientInfo(request, { ...clientInfoOf(request), address: client });
    const named = namedBy(request);
    try {
      // Another name than the one that was judged and certified would be a way around both.
      if (named === undefined || named.host !== target.host || named.port !== target.port) {
        throw new ForwardRefusal(421, 'the Host header names another host than the tunnel leads to');
      }
      // A client may keep its tunnel for days, and what is allowed may change by then.
      judge(target);
    } catch (error) {
      const refusal = toForwardRefusal(error);
      if (refusal === undefined) throw error;
      const context = new RequestContext(request, response, telemetry);
      context.route = 'mitm';
      return refuseForward(context, refusal);
    }
    await route(request, response, { target, path: named.path, client, secure: true });
  }

  function connect(request: IncomingMessage, socket: Socket, head: Buffer, door: TunnelDoor): void {
    const report = new TunnelReport(request, telemetry);
    open(request, socket, { head, door, report }).catch((error: unknown) => {
      const refusal = toForwardRefusal(error) ?? new ForwardRefusal(500, 'the tunnel failed for a reason of our own');
      if (toForwardRefusal(error) === undefined)
        telemetry.publish('warning', { message: 'Cannot open a tunnel', error });
      report.finish({ status: socket.destroyed ? 0 : refusal.status, error: refusal.message });
      refuseTunnel(socket, refusal);
    });
  }

  async function open(
    request: IncomingMessage,
    socket: Socket,
    { head, door, report }: { readonly head: Buffer; readonly door: TunnelDoor; readonly report: TunnelReport },
  ): Promise<void> {
    await admit(request);
    const { 'content-length': length, 'transfer-encoding': encoding } = request.headers;
    // A length would say that the bytes behind the head are no tunnel yet (RFC 9110 §9.3.6).
    if ((length !== undefined && length !== '0') || encoding !== undefined) {
      throw new ForwardRefusal(400, 'CONNECT takes no body');
    }
    const target = parseConnectTarget(request.url ?? '');
    report.target = target;
    judge(target);
    if (openTunnels.count >= options.maxTunnels) {
      throw new ForwardRefusal(503, `all ${options.maxTunnels} tunnels are taken`, { 'retry-after': RETRY_AFTER });
    }
    if (socket.destroyed) return report.finish({ status: 0, error: 'the client left' });
    openTunnels.count += 1;
    socket.once('close', () => {
      openTunnels.count -= 1;
    });
    const { interceptor } = options;
    if (interceptor === undefined || target.port === PLAIN_PORT) {
      return await tunnel(socket, { target, head, door, report });
    }
    socket.write(ESTABLISHED);
    if (head.length > 0) socket.unshift(head);
    const client = clientInfoOf(request).address;
    const serve = (decrypted: TLSSocket): void => door.serve(decrypted, { target, client });
    interceptor.intercept(socket, { target, client, serve });
  }

  async function tunnel(
    client: Socket,
    {
      target,
      head,
      door,
      report,
    }: {
      readonly target: ForwardTarget;
      readonly head: Buffer;
      readonly door: TunnelDoor;
      readonly report: TunnelReport;
    },
  ): Promise<void> {
    const left = new AbortController();
    const leave = (): void => left.abort(new Error('the client left'));
    client.once('close', leave);
    const relay = new Relay({ idleTimeout: options.idleTimeout });
    const { socket } = await reach(target, { secure: false, onread: relay.onread, signal: left.signal });
    client.off('close', leave);
    client.write(ESTABLISHED);
    door.hold(client, () => relay.quiet);
    const end = await relay.run({ client, target: socket, first: head });
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

const ENDS: Readonly<Record<RelayEnd, string | undefined>> = {
  ended: undefined,
  broken: 'a side broke off',
  idle: 'nothing moved for too long',
};

interface TunnelOutcome {
  readonly status: number;
  readonly bytes?: number;
  readonly received?: number;
  readonly error?: string | undefined;
}

/** The line in the log that a CONNECT leaves, once. */
class TunnelReport {
  readonly #id = nextRequestId();
  readonly #started = performance.now();
  readonly #request: IncomingMessage;
  readonly #client: string;
  readonly #telemetry: Telemetry;
  target: ForwardTarget | undefined;

  constructor(request: IncomingMessage, telemetry: Telemetry) {
    this.#request = request;
    // Taken now: a socket that is closed has forgotten it.
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

/** What was asked for in place of a host and port: without the user and password that somebody may have put before it. */
function shownTarget(text: string): string {
  return redactUrl(text.slice(text.lastIndexOf('@') + 1).slice(0, 300));
}

/** Whom a decrypted request is for by its own words, and its path; undefined where it names nobody. */
function namedBy({ url = '/', headers }: IncomingMessage): (ForwardTarget & { readonly path: string }) | undefined {
  try {
    const asked = url.startsWith('/') ? `https://${headers.host ?? ''}${url}` : url;
    const named = parseAbsoluteTarget(asked);
    return named.scheme === 'https' ? named : undefined;
  } catch {
    return undefined;
  }
}

/** A client of this machine; one that comes by a Unix socket has no address, and is. */
function isLocalClient(request: IncomingMessage): boolean {
  const { address } = clientInfoOf(request);
  return address === '' ? !request.socket.destroyed : isLoopback(address);
}
