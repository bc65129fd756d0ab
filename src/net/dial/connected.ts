import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { abortedError, httpErrorOf, type Phase, wrongProtocol } from '../error.ts';
import { type HttpClientOptions, HttpError } from '../http-types.ts';

interface ConnectedOptions extends Required<Pick<HttpClientOptions, 'dialTimeout' | 'tlsHandshakeTimeout'>> {
  /** Host and port, for messages. */
  readonly authority: string;
  /** Also waits for the TLS handshake. */
  readonly secure: boolean;
  /** `handshake`: the TCP connection is already open. @default 'dial' */
  readonly phase?: 'dial' | 'handshake';
  readonly signal: AbortSignal | undefined;
  /** What the operator can do about a handshake that is cut or not answered. @default nothing */
  readonly remedy?: string | undefined;
}

/**
 * Waits until a socket is connected; otherwise destroys it and rejects with HttpError. It leaves an error listener on the
 * socket: a late error of a discarded socket must not end the process.
 */
export function connected(socket: Socket, waiting: ConnectedOptions): Promise<Socket> {
  const { authority, secure, signal, remedy } = waiting;
  return new Promise((resolve, reject) => {
    let phase: Phase = waiting.phase ?? 'dial';
    let timer = setTimeout(expire, phase === 'dial' ? waiting.dialTimeout : waiting.tlsHandshakeTimeout);

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
      const [what, limit, options] =
        phase === 'dial'
          ? ['no connection', waiting.dialTimeout, {}]
          : ['no end of the TLS handshake', waiting.tlsHandshakeTimeout, { remedy }];
      fail(new HttpError('timeout', `${authority} did not answer in time: ${what} within ${limit} ms`, options));
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
      // Only http/1.1 is offered, but OpenSSL lets a server choose another protocol.
      if (typeof chosen === 'string' && chosen !== 'http/1.1') {
        return fail(wrongProtocol(authority, chosen));
      }
      done();
    }
    function onClose(): void {
      const error = Object.assign(new Error('the connection closed'), { code: 'ECONNRESET' });
      fail(httpErrorOf(error, { authority, phase, remedy }));
    }
    function done(): void {
      settle();
      resolve(socket);
    }

    // Never removed.
    socket.on('error', (error) => fail(httpErrorOf(error, { authority, phase, remedy })));
    socket.once('connect', onConnect).once('secureConnect', onSecure).once('close', onClose);
    signal?.addEventListener('abort', abort, { once: true });
  });
}
