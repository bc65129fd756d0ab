import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import type { RequestHandler } from '../exchange/index.ts';

/** The host that a client asks the forward proxy to reach. */
export interface ForwardTarget {
  /** A name in lower case ASCII without a final dot, or an address (IPv6 without brackets), in the one way to write it. */
  readonly host: string;
  readonly port: number;
}

/** What the front door offers those who speak something else on a connection than HTTP to this server. */
export interface TunnelDoor {
  /** The connection is a tunnel until it closes. @param quiet milliseconds in which nothing moved */
  hold(socket: Socket, quiet: () => number): void;
  /**
   * What came out of a tunnel speaks HTTP, within the limits of every other connection; its requests go to
   * {@link Forward.handleDecrypted}.
   */
  serve(socket: TLSSocket, tunnel: OpenedTunnel): void;
}

/** A tunnel that is looked into. */
export interface OpenedTunnel {
  /** Where it leads, in whose name the handshake was made. */
  readonly target: ForwardTarget;
  /** Address of the client. */
  readonly client: string;
}

/** The forward proxy: what a front door hands requests that are for others. */
export interface Forward {
  /** A request in absolute form: `GET http://host/path`. */
  readonly handle: RequestHandler;
  /** A request that came out of a tunnel: judged by what is allowed now, however long the tunnel has been open. */
  handleDecrypted(request: IncomingMessage, response: ServerResponse, tunnel: OpenedTunnel): Promise<void> | undefined;
  /** CONNECT. @param head what the client said without waiting for the answer */
  connect(request: IncomingMessage, socket: Socket, head: Buffer, door: TunnelDoor): void;
  /** Tunnels open. */
  readonly tunnels: number;
}

/** Whether a request target has a scheme, and so is in absolute form (RFC 9112 §3.2.2). */
export function isAbsoluteForm(target: string): boolean {
  return /^[a-z][a-z0-9+.-]*:\/\//i.test(target);
}
