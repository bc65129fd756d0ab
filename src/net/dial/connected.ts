import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { abortedError, httpErrorOf, type Phase } from '../error.ts';
import { HttpError } from '../http-types.ts';

export interface ConnectedOptions {
  /** Who is connected to, for messages. */
  readonly authority: string;
  /** Wait for the TLS handshake as well. */
  readonly secure: boolean;
  /** `handshake`: what is below is connected already. @default 'dial' */
  readonly phase?: 'dial' | 'handshake';
  readonly signal: AbortSignal | undefined;
  /** Milliseconds. */
  readonly dialTimeout: number;
  /** Milliseconds. */
  readonly tlsHandshakeTimeout: number;
}

/**
 * Waits until a socket is ready to be spoken through; otherwise destroys it and rejects with HttpError. It leaves an error
 * listener on the socket: a late error on one that nobody holds any more must not end the process.
 */
export function connected(socket: Socket, waiting: ConnectedOptions): Promise<Socket> {
  const { authority, secure, signal } = waiting;
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
      // Nothing else is ever offered, but OpenSSL lets a server choose it all the same.
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

    // Never removed.
    socket.on('error', (error) => fail(httpErrorOf(error, { authority, phase })));
    socket.once('connect', onConnect).once('secureConnect', onSecure).once('close', onClose);
    signal?.addEventListener('abort', abort, { once: true });
  });
}
