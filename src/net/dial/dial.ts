import { lookup as systemLookup } from 'node:dns';
import { isIP, type LookupFunction, connect as netConnect, type OnReadOpts, type Socket } from 'node:net';
import { connect as tlsConnect } from 'node:tls';
import { abortedError } from '../error.ts';
import { type AddressPolicy, type HttpClientOptions, HttpError } from '../http-types.ts';
import { isAllowed, isAllowedByName, plainHost } from './address-policy.ts';
import { connected } from './connected.ts';
import { FragmentLadder } from './fragment-ladder.ts';
import { FragmentingSocket } from './fragmenting-socket.ts';
import { outboundProxyPort, shownOutboundProxy } from './outbound-proxy.ts';
import { readInto } from './read-into.ts';
import type { Dial, Dialled, DialTarget } from './target.ts';
import { TlsSettings } from './tls-settings.ts';
import { traceConnecting, tracedLookup } from './trace.ts';
import { openTunnel, TunnelReads } from './tunnel.ts';

/**
 * The only place where sockets to other servers are made.
 *
 * ```
 *  TCP       to the host itself, or through a tunnel of the outbound proxy
 *  TLS       over it: natively, or through a FragmentingSocket where the ClientHello is split or the connection is a tunnel
 * ```
 *
 * Happy Eyeballs is Node's own (`autoSelectFamily`, RFC 8305). The address policy is applied inside the `lookup` that the
 * connecting socket itself calls, so a name cannot change between the check and the connection.
 */

const TEN_SECONDS = 10_000;
/** Milliseconds until the next address is tried as well (RFC 8305 §8 recommends 250; Node's default is 500). */
const ATTEMPT_DELAY = 250;
/** Milliseconds. A connection that died silently is noticed within minutes, not hours. */
const KEEPALIVE_DELAY = 30_000;

/** Alerts of a server that does not support a fragmented ClientHello; alerts about certificates are not among them. */
const NO_FRAGMENTS = /ALERT_(DECODE_ERROR|UNEXPECTED_MESSAGE|ILLEGAL_PARAMETER)$/;

/** A dial with the client's TLS settings and deadlines. The secure context is created once, at the first `https:`. */
export function createDial(options: HttpClientOptions): Dial {
  const { dialTimeout = TEN_SECONDS, tlsHandshakeTimeout = TEN_SECONDS, keepalive = KEEPALIVE_DELAY } = options;
  const { firstFragmentLen = 0, allowPlainFallback = true, telemetry } = options;
  const tls = new TlsSettings(options.tls ?? {});
  const lookup = options.lookup ?? systemLookup;
  const ladder = new FragmentLadder({ firstFragmentLen, allowPlainFallback });

  async function dial(target: DialTarget): Promise<Dialled> {
    const authority = authorityOf(target);
    if (target.signal?.aborted) throw abortedError(authority, target.signal.reason);
    const host = plainHost(target.host);
    const proxy = outboundProxyOf(target);
    // Node does not call `lookup` for an IP literal, so it is checked here; through an outbound proxy only the name is known.
    const allowed =
      proxy === undefined
        ? isIP(host) === 0 || isAllowed(target.addresses, host, host)
        : isAllowedByName(target.addresses, host);
    if (!allowed) throw forbidden(authority, host);
    if (target.protocol !== 'https:') return await openTcp(target, { proxy, within: dialTimeout });
    if (firstFragmentLen === 0)
      return await secured(target, { proxy, length: 0, within: { dialTimeout, tlsHandshakeTimeout } });
    return await securedByFallback(target, proxy);
  }

  /** Tries the lengths of the first fragment in order, until a handshake succeeds. */
  async function securedByFallback(target: DialTarget, proxy: URL | undefined): Promise<Dialled> {
    const authority = authorityOf(target);
    let steps = ladder.stepsFor(authority);
    // One deadline for all handshakes, and for the connections between them.
    let deadline: number | undefined;
    for (;;) {
      const [length = 0, ...rest] = steps;
      const left = (limit: number): number =>
        deadline === undefined ? limit : Math.max(1, Math.min(limit, deadline - performance.now()));
      const within = { dialTimeout: left(dialTimeout), tlsHandshakeTimeout: left(tlsHandshakeTimeout) };
      const onHandshake = (): void => void (deadline ??= performance.now() + tlsHandshakeTimeout);
      try {
        const dialled = await secured(target, { proxy, length, within, onHandshake });
        ladder.worked(authority, length);
        return dialled;
      } catch (error) {
        const reason = deadline === undefined ? undefined : fallbackReason(error);
        // A server that refuses one fragment length refuses all of them.
        steps = reason === 'alert' ? rest.filter((step) => step === 0) : rest;
        const [next] = steps;
        if (reason === undefined || next === undefined || performance.now() >= (deadline ?? 0)) {
          if (reason !== undefined) ladder.failed(authority);
          throw error;
        }
        telemetry?.publish('transport.fallback', { host: plainHost(target.host), from: length, to: next, reason });
      }
    }
  }

  interface Securing {
    readonly proxy: URL | undefined;
    /** The length of the first fragment; 0: an ordinary handshake. */
    readonly length: number;
    /** Milliseconds. */
    readonly within: { readonly dialTimeout: number; readonly tlsHandshakeTimeout: number };
    /** Called when the handshake begins. */
    readonly onHandshake?: () => void;
  }

  async function secured(target: DialTarget, { proxy, length, within, onHandshake }: Securing): Promise<Dialled> {
    const remedy = cutRemedy({ isFragmented: firstFragmentLen > 0, isTunnel: proxy !== undefined });
    const waiting = { authority: authorityOf(target), secure: true, signal: target.signal, remedy, ...within };
    const settings = tls.towards(target);
    if (proxy === undefined && length === 0) {
      const socket = traceConnecting(() => tlsConnect({ ...tcpOptions(target), ...settings }), target.trace);
      socket.once('connect', () => {
        target.trace?.({ kind: 'handshake', firstFragmentLen: 0 });
        onHandshake?.();
      });
      return dialledBy(await connected(socket, waiting));
    }
    const wire = new FragmentingSocket(length);
    const below = await openTcp({ ...target, onread: wire.onread }, { proxy, within: within.dialTimeout });
    wire.attach(below.socket);
    target.trace?.({ kind: 'handshake', firstFragmentLen: length });
    onHandshake?.();
    const socket = tlsConnect({ ...settings, socket: wire });
    if (target.onread !== undefined) readInto(socket, target.onread);
    await connected(socket, { ...waiting, phase: 'handshake' });
    return { ...below, socket };
  }

  /** Connects TCP to the host, or to a tunnel's end. `within`: milliseconds for the connection, and again for the tunnel. */
  async function openTcp(
    target: DialTarget,
    { proxy, within }: { readonly proxy: URL | undefined; readonly within: number },
  ): Promise<Dialled> {
    const { signal, trace } = target;
    const waiting = { authority: authorityOf(target), secure: false, signal, dialTimeout: within, tlsHandshakeTimeout };
    if (proxy === undefined) {
      const socket = traceConnecting(() => netConnect(tcpOptions(target)), trace);
      return dialledBy(await connected(socket, waiting));
    }
    trace?.({ kind: 'through', outboundProxy: shownOutboundProxy(proxy) });
    const reads = new TunnelReads();
    const towards: DialTarget = {
      protocol: proxy.protocol,
      host: proxy.hostname,
      port: outboundProxyPort(proxy),
      // The configuration names the outbound proxy.
      addresses: { kind: 'any' },
      onread: reads.onread,
      signal,
      ...(trace === undefined ? {} : { trace }),
    };
    const secure = proxy.protocol === 'https:';
    const authority = `The outbound proxy ${shownOutboundProxy(proxy)}`;
    const settings = secure ? tls.towardsOutboundProxy(towards) : undefined;
    const connect = (): Socket =>
      settings === undefined ? netConnect(tcpOptions(towards)) : tlsConnect({ ...tcpOptions(towards), ...settings });
    const socket = traceConnecting(connect, trace);
    const connection = await connected(socket, { ...waiting, authority, secure });
    await openTunnel({ socket, reads }, { proxy, host: target.host, port: target.port, timeout: within, signal });
    trace?.({ kind: 'tunnelled' });
    reads.handTo(target.onread ?? pushInto(socket));
    return { socket, connection, remoteAddress: undefined };
  }

  function outboundProxyOf({ protocol, host, port }: DialTarget): URL | undefined {
    const { outboundProxy } = options;
    if (typeof outboundProxy !== 'function') return outboundProxy;
    return outboundProxy(new URL(`${protocol}//${host}:${port}/`));
  }

  function tcpOptions({ host, port, addresses, onread, trace }: DialTarget) {
    return {
      host: plainHost(host),
      port,
      noDelay: true,
      ...(keepalive > 0 ? { keepAlive: true, keepAliveInitialDelay: keepalive } : {}),
      autoSelectFamily: true,
      autoSelectFamilyAttemptTimeout: ATTEMPT_DELAY,
      lookup: tracedLookup(guardedLookup(addresses, { authority: authorityOf({ host, port }), lookup }), trace),
      ...(onread === undefined ? {} : { onread }),
    };
  }

  return dial;
}

/** What the operator can do about a handshake that is cut or not answered. */
function cutRemedy({ isFragmented, isTunnel }: { readonly isFragmented: boolean; readonly isTunnel: boolean }): string {
  const proxy = isTunnel ? 'another outbound proxy' : 'an outbound proxy';
  return isFragmented
    ? `The handshake fails at each length that was tried: try another transport.first_fragment_len, other addresses (transport.dns.servers) or ${proxy} (transport.outbound_proxy).`
    : `If a firewall blocks the host name, set transport.first_fragment_len: 3, or ${proxy} (transport.outbound_proxy). If the addresses look wrong as well, set transport.dns.servers; if the server speaks plain HTTP, the url begins with http://.`;
}

function dialledBy(socket: Socket): Dialled {
  return { socket, connection: socket, remoteAddress: socket.remoteAddress };
}

function authorityOf({ host, port }: Pick<DialTarget, 'host' | 'port'>): string {
  return `${host}:${port}`;
}

/** Why a handshake is retried with another length; undefined where that would not help, as for a bad certificate. */
function fallbackReason(error: unknown): 'reset' | 'end' | 'alert' | undefined {
  if (!(error instanceof HttpError)) return undefined;
  const { code = '', syscall } = (error.cause ?? {}) as NodeJS.ErrnoException;
  if (error.code === 'tls' && NO_FRAGMENTS.test(code)) return 'alert';
  // Node reports the end of a connection during the handshake as a reset without a system call.
  if (error.code === 'tls-reset') return syscall === undefined ? 'end' : 'reset';
  return undefined;
}

/** Makes a socket created with `onread` emit `data`. */
function pushInto(socket: Socket): OnReadOpts {
  return {
    buffer: () => Buffer.allocUnsafeSlow(64 * 1024),
    callback: (count, bytes) => socket.push(bytes.subarray(0, count)),
  };
}

/** A lookup that returns only the addresses the policy allows. */
function guardedLookup(
  addresses: AddressPolicy,
  { authority, lookup }: { readonly authority: string; readonly lookup: LookupFunction },
): LookupFunction {
  if (addresses.kind === 'any') return lookup;
  return (host, options, callback) => {
    lookup(host, { ...options, all: true }, (error, found) => {
      if (error !== null) return callback(error, []);
      const every = Array.isArray(found) ? found : [{ address: found, family: isIP(found) }];
      const allowed = every.filter((each) => isAllowed(addresses, host, each.address));
      const [first] = allowed;
      if (first === undefined) return callback(forbidden(authority, every.map((each) => each.address).join(', ')), []);
      if (options.all === true) callback(null, allowed);
      else callback(null, first.address, first.family);
    });
  };
}

function forbidden(authority: string, found: string): HttpError {
  const message = `${authority} must not be dialled: ${found || 'nothing'} is not a public address, and the name is not configured; list it under allow_private to allow it`;
  return new HttpError('forbidden', message);
}
