import type { LookupFunction, Socket } from 'node:net';

/**
 * A step of a dial, reported as it happens; the listener takes the time. The dial's own promise reports the end.
 *
 * `through`: the outbound proxy, without its credentials. `connecting`: TCP begins. `asked`, `resolved`: a name is looked up,
 * the outbound proxy's if there is one. `attempt-failed`: one of several addresses failed. `connected`: TCP is connected.
 * `tunnelled`: the outbound proxy opened the tunnel. `handshake`: a ClientHello is sent, with a first fragment of so many bytes
 * (0: unfragmented). After a cut handshake the steps begin again with `connecting`.
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

/** Listens to one dial. Must not throw. */
export type DialTrace = (moment: DialMoment) => void;

/** A lookup that reports its name and the addresses found. */
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

/** Creates a socket, and reports the steps to its connection. */
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
