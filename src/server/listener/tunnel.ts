import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import type { Principal } from '../../access/index.ts';
import type { RequestHandler } from '../exchange/index.ts';

/** The host that a client asks the forward proxy to reach. */
export interface ForwardTarget {
  /** A name in lower-case ASCII without a final dot, or an address in its canonical form (IPv6 without brackets). */
  readonly host: string;
  readonly port: number;
}

/** A tunnel under way: the client's connection, and the one to its target. */
export interface HeldTunnel {
  /** Milliseconds since a byte moved. */
  readonly quiet: number;
  /** Closes both connections in order. */
  end(): void;
  /** Breaks off both connections. */
  cut(): void;
}

/** What the front door offers the forward proxy for connections that leave HTTP. */
export interface TunnelDoor {
  /** Counts a tunnel until the returned function is called, to be done once both its connections are closed. */
  hold(tunnel: HeldTunnel): () => void;
  /**
   * Serves HTTP on a decrypted connection, within the limits of every other connection. Its requests go to
   * {@link Forward.handleDecrypted}.
   */
  serve(socket: TLSSocket, tunnel: OpenedTunnel): void;
}

/** A tunnel whose TLS is decrypted. */
export interface OpenedTunnel {
  /** The host of the CONNECT, which the certificate of the handshake names. */
  readonly target: ForwardTarget;
  /** Address of the client. */
  readonly client: string;
  /** Who opened it, where rules are configured. */
  readonly principal?: Principal | undefined;
}

/** The forward proxy: takes the requests of a front door that are for other servers. */
export interface Forward {
  /** A request in absolute form: `GET http://host/path`. */
  readonly handle: RequestHandler;
  /** A request out of a decrypted tunnel. The allow-list of now decides, however long the tunnel has been open. */
  handleDecrypted(request: IncomingMessage, response: ServerResponse, tunnel: OpenedTunnel): Promise<void> | undefined;
  /** CONNECT. @param head bytes that the client sent without waiting for the answer */
  connect(request: IncomingMessage, socket: Socket, head: Buffer, door: TunnelDoor): void;
  /** Tunnels open. */
  readonly tunnels: number;
}

/** Whether a request target has a scheme, and so is in absolute form (RFC 9112 §3.2.2). */
export function isAbsoluteForm(target: string): boolean {
  return /^[a-z][a-z0-9+.-]*:\/\//i.test(target);
}
