import type { LookupFunction, Socket } from 'node:net';

/**
 * How far a dial has come, told in the moment it comes there; whoever hears it keeps the time. That it is done is told by
 * the dial itself.
 *
 * `through` the outbound proxy that is asked, without its credentials; `connecting` it begins; `asked` and `resolved` a name,
 * which is the outbound proxy's own where there is one; `attempt-failed` one of several addresses is given up; `connected`
 * TCP; `tunnelled` the outbound proxy has connected; `handshake` a ClientHello goes out, its first fragment so many bytes
 * long (0: in one piece). After a handshake that was cut it begins again with `connecting`.
 */
export type DialMoment =
  | { readonly kind: 'through'; readonly outboundProxy: string }
  | { readonly kind: 'asked'; readonly host: string }
  | { readonly kind: 'resolved'; readonly host: string; readonly addresses: readonly string[] }
  | { readonly kind: 'connecting' }
  | { readonly kind: 'attempt-failed'; readonly address: string; readonly reason: string }
  | { readonly kind: 'connected'; readonly address: string | undefined }
  | { readonly kind: 'tunnelled' }
  | { readonly kind: 'handshake'; readonly firstFragmentLen: number };

/** Hears of one dial. Must not throw. */
export type DialTrace = (moment: DialMoment) => void;

/** A lookup that tells what it is asked and what it found. */
export function tracedLookup(lookup: LookupFunction, trace: DialTrace | undefined): LookupFunction {
  if (trace === undefined) return lookup;
  return (host, options, callback) => {
    trace({ kind: 'asked', host });
    lookup(host, options, (error, found, family) => {
      if (error === null) {
        const addresses = Array.isArray(found) ? found.map(({ address }) => address) : [found];
        trace({ kind: 'resolved', host, addresses });
      }
      callback(error, found, family);
    });
  };
}

/** Makes a socket, and tells how it comes to its connection. */
export function traceConnecting(connect: () => Socket, trace: DialTrace | undefined): Socket {
  if (trace === undefined) return connect();
  trace({ kind: 'connecting' });
  const socket = connect();
  return socket
    .on('connectionAttemptFailed', (address, _port, _family, error: NodeJS.ErrnoException) =>
      trace({ kind: 'attempt-failed', address, reason: error.code ?? error.message }),
    )
    .on('connectionAttemptTimeout', (address) => trace({ kind: 'attempt-failed', address, reason: 'slow' }))
    .once('connect', () => trace({ kind: 'connected', address: socket.remoteAddress }));
}
