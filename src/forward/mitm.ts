import { createServer } from 'node:tls';
import type { MitmHandshakeFailed, Telemetry } from '../telemetry/index.ts';
import { type Authority, LeafCertificates } from './authority/index.ts';
import type { Interceptor } from './proxy.ts';

/** Milliseconds; a handshake takes two round trips. */
const HANDSHAKE_TIMEOUT = 10_000;

/**
 * Ends TLS in the name of the hosts that clients ask for by CONNECT, with leaves of an authority they trust.
 *
 * The certificate is for the host of the CONNECT, which was judged, whatever the handshake's server name says: an absent, odd
 * or different one changes nothing, nobody gets a certificate for a name of his choosing, and there is no callback of ours
 * within the handshake that could throw (CVE-2026-21637). HTTP/1.1 alone is offered: every registry client speaks it.
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
      // A server for one connection, which it is given and never listens for: what it tells is then of this one alone.
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
      // HTTP servers let clients end their sending early; in a handshake that is the end of it.
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
