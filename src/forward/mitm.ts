import { createServer } from 'node:tls';
import type { MitmHandshakeFailed, Telemetry } from '../telemetry/index.ts';
import { type Authority, LeafCertificates } from './authority/index.ts';
import type { Interceptor } from './proxy.ts';

/** Milliseconds; a handshake takes two round trips. */
const HANDSHAKE_TIMEOUT = 10_000;

/**
 * Decrypts tunnels: ends TLS for the host of the CONNECT, with a leaf certificate of an authority that clients trust.
 *
 * The certificate names the host of the CONNECT, which is on the allow-list, whatever the server name in the handshake. So a
 * client cannot get a certificate for a name of its choice, and no callback of ours can throw within the handshake
 * (CVE-2026-21637). Only HTTP/1.1 is offered: every registry client speaks it.
 */
export function createInterceptor({
  authority,
  telemetry,
}: {
  readonly authority: Authority;
  readonly telemetry: Telemetry;
}): Interceptor {
  const leaves = new LeafCertificates(authority);
  return {
    intercept(socket, { target, client, serve }): void {
      // A server for this one connection, which never listens: its events are about this connection only.
      const server = createServer({
        ...leaves.for(target.host),
        minVersion: 'TLSv1.2',
        ALPNProtocols: ['http/1.1'],
        handshakeTimeout: HANDSHAKE_TIMEOUT,
      });
      server.on('secureConnection', serve);
      server.on('tlsClientError', (error: NodeJS.ErrnoException, failed) => {
        const detail = error.code ?? error.message;
        telemetry.publish('mitm.handshake', { host: target.host, client, reason: reasonOf(error), detail });
        failed.destroy();
      });
      // HTTP servers allow a half-closed client; in a handshake, the end of its bytes ends the connection.
      socket.allowHalfOpen = false;
      server.emit('connection', socket);
    },
  };
}

function reasonOf({ code = '' }: NodeJS.ErrnoException): MitmHandshakeFailed['reason'] {
  if (/ALERT_(?:UNKNOWN_CA|BAD_CERTIFICATE|CERTIFICATE_UNKNOWN|UNSUPPORTED_CERTIFICATE)/.test(code)) return 'untrusted';
  if (code === 'ERR_TLS_HANDSHAKE_TIMEOUT') return 'timeout';
  return code === 'ECONNRESET' || code === 'EPIPE' ? 'aborted' : 'protocol';
}
