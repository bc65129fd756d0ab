import { lookup as systemLookup } from 'node:dns';
import { isIP, type LookupFunction, connect as netConnect, type OnReadOpts, type Socket } from 'node:net';
import {
  createSecureContext,
  getCACertificates,
  type SecureContext,
  type TLSSocket,
  connect as tlsConnect,
} from 'node:tls';
import { isAllowed, plainHost } from './address-policy.ts';
import { type AddressPolicy, type HttpClientOptions, HttpError } from './http.ts';
import { abortedError, httpErrorOf, type Phase } from './http-error.ts';

/**
 * The single place where sockets to other servers are made.
 *
 * Happy Eyeballs is Node's own (`autoSelectFamily`, RFC 8305). The address policy is applied inside the `lookup` that the
 * connecting socket itself calls, so there is no moment between the check and the use in which a name could change.
 */

export interface DialTarget {
  readonly protocol: string;
  /** As in a URL: IPv6 may be in brackets. */
  readonly host: string;
  readonly port: number;
  readonly addresses: AddressPolicy;
  /** Reads land in these buffers instead of in events; the socket then emits no `data`. */
  readonly onread?: OnReadOpts;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Gives a connected socket, TLS where the protocol is `https:`, or rejects with HttpError: `refused`, `dns`, `timeout`,
 * `reset`, `tls`, `forbidden`, `aborted`. The socket has an error listener already; the receiver adds its own.
 */
export type Dial = (target: DialTarget) => Promise<Socket>;

const TEN_SECONDS = 10_000;
/** How long one address is tried alone before the next joins (RFC 8305 §8 recommends 250 ms; Node's default is 500). */
const ATTEMPT_DELAY = 250;
/** A connection that was cut without a word is noticed within minutes, not hours. */
const KEEPALIVE_DELAY = 30_000;

/** A dial with the client's TLS settings and deadlines. The secure context is made once, at the first `https:`. */
export function createDial(options: HttpClientOptions): Dial {
  const settings = options.tls ?? {};
  let context: SecureContext | undefined;
  function secureContext(authority: string): SecureContext {
    try {
      context ??= createSecureContext({
        // `ca` alone would replace the roots; who names a CA of their own expects the public ones to hold as well.
        ...(settings.ca === undefined ? {} : { ca: [...getCACertificates('default'), settings.ca] }),
        ...(settings.cert === undefined ? {} : { cert: settings.cert }),
        ...(settings.key === undefined ? {} : { key: settings.key }),
      });
      return context;
    } catch (cause) {
      const message = `${authority} cannot be dialled: the tls settings (ca, cert, key) are not usable PEM`;
      throw new HttpError('tls', message, { cause });
    }
  }

  return async function dial(target) {
    const host = plainHost(target.host);
    const authority = `${target.host}:${target.port}`;
    if (target.signal?.aborted) throw abortedError(authority, target.signal.reason);
    // Node asks no resolver for a literal, so it is judged here.
    if (isIP(host) !== 0 && !isAllowed(target.addresses, host, host)) throw forbidden(authority, host);
    const common = {
      host,
      port: target.port,
      noDelay: true,
      keepAlive: true,
      keepAliveInitialDelay: KEEPALIVE_DELAY,
      autoSelectFamily: true,
      autoSelectFamilyAttemptTimeout: ATTEMPT_DELAY,
      lookup: guardedLookup(target.addresses, { authority, lookup: options.lookup ?? systemLookup }),
      ...(target.onread === undefined ? {} : { onread: target.onread }),
    };
    const secure = target.protocol === 'https:';
    const socket = secure
      ? tlsConnect({
          ...common,
          secureContext: secureContext(authority),
          // RFC 6066 §3: a server name is never an address. Certificates are then checked against `host`.
          ...(isIP(host) === 0 ? { servername: host } : {}),
          ALPNProtocols: ['http/1.1'],
          ...(settings.insecureSkipVerify === true
            ? { rejectUnauthorized: false, checkServerIdentity: () => undefined }
            : { rejectUnauthorized: true }),
        })
      : netConnect(common);
    return await connected(socket, {
      authority,
      secure,
      signal: target.signal,
      dialTimeout: options.dialTimeout ?? TEN_SECONDS,
      tlsHandshakeTimeout: options.tlsHandshakeTimeout ?? TEN_SECONDS,
    });
  };
}

interface Waiting {
  readonly authority: string;
  readonly secure: boolean;
  readonly signal: AbortSignal | undefined;
  readonly dialTimeout: number;
  readonly tlsHandshakeTimeout: number;
}

function connected(socket: Socket, waiting: Waiting): Promise<Socket> {
  const { authority, secure, signal } = waiting;
  return new Promise((resolve, reject) => {
    let phase: Phase = 'dial';
    let timer = setTimeout(expire, waiting.dialTimeout);

    function settle(): void {
      clearTimeout(timer);
      signal?.removeEventListener('abort', abort);
      socket.off('connect', onConnect).off('secureConnect', onSecure).off('close', onClose);
    }
    function fail(error: HttpError): void {
      settle();
      socket.destroy();
      reject(error);
    }
    function expire(): void {
      const [what, limit] =
        phase === 'dial'
          ? ['no connection', waiting.dialTimeout]
          : ['no end of the TLS handshake', waiting.tlsHandshakeTimeout];
      fail(new HttpError('timeout', `${authority} did not answer in time: ${what} within ${limit} ms`));
    }
    function abort(): void {
      fail(abortedError(authority, signal?.reason));
    }
    function onConnect(): void {
      if (!secure) return done();
      phase = 'handshake';
      clearTimeout(timer);
      timer = setTimeout(expire, waiting.tlsHandshakeTimeout);
    }
    function onSecure(): void {
      const chosen = (socket as TLSSocket).alpnProtocol;
      if (typeof chosen === 'string' && chosen !== 'http/1.1') {
        return fail(new HttpError('protocol', `${authority} chose ${chosen} where only http/1.1 was offered`));
      }
      done();
    }
    function onClose(): void {
      fail(httpErrorOf(new Error('the connection closed'), { authority, phase }));
    }
    function done(): void {
      settle();
      resolve(socket);
    }

    // Never removed: a late error on a socket that nobody holds any more must not end the process.
    socket.on('error', (error) => fail(httpErrorOf(error, { authority, phase })));
    socket.once('connect', onConnect).once('secureConnect', onSecure).once('close', onClose);
    signal?.addEventListener('abort', abort, { once: true });
  });
}

/** Resolves, then leaves only the addresses the policy allows. */
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
  const message = `${authority} must not be dialled: ${found || 'nothing'} is not a public address, and the name was not configured here; allow_private can list it`;
  return new HttpError('forbidden', message);
}
