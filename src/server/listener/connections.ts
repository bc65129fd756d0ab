import type { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { PIECE } from '../exchange/index.ts';
import type { HeldTunnel } from './tunnel.ts';

/**
 * Requests that one connection may have open. Node starts each pipelined request at once, answered or not the one before it.
 * No registry client pipelines, so a connection with more than this is an attack.
 */
const MAX_PIPELINED = 32;

/** Milliseconds, once nothing runs, for clients that do not hang up and handshakes that do not end. */
const FAREWELL_MS = 1000;

/** Milliseconds; longer than a pull in a tunnel pauses between an answer and its next request. */
const QUIET_MS = 1000;

/**
 * The connections of a front door, and the responses or tunnels under way on each.
 *
 * Draining ends idle connections at once and lets responses finish. A response whose head is not sent yet says
 * `Connection: close`, and a connection ends with its last response.
 */
export class Connections {
  /** Every accepted socket, those in a TLS handshake included. */
  readonly #sockets = new Set<Socket>();
  /** Sockets that speak HTTP, with their unfinished responses. */
  readonly #responses = new Map<Socket, Set<ServerResponse>>();
  readonly #tunnels = new Set<HeldTunnel>();
  /** `bytesWritten` of stalled sockets with only little left to send, when their timeout last fired. */
  readonly #stalledAt = new WeakMap<Socket, number>();
  #inFlight = 0;
  #draining = false;
  #onIdle: (() => void) | undefined;

  /** Responses and tunnels under way. */
  get inFlight(): number {
    return this.#inFlight;
  }

  /** Whether new requests are no longer taken. */
  get draining(): boolean {
    return this.#draining;
  }

  get open(): number {
    return this.#sockets.size;
  }

  /** Takes a new socket, before any handshake. */
  accept(socket: Socket): void {
    this.#sockets.add(socket);
    socket.on('error', ignore);
    socket.once('close', () => this.#sockets.delete(socket));
  }

  /** Takes a socket that begins to speak HTTP: the accepted one itself, or the TLS socket above it. */
  establish(socket: Socket): void {
    const responses = new Set<ServerResponse>();
    this.#responses.set(socket, responses);
    socket.on('error', ignore);
    socket.once('close', () => {
      this.#responses.delete(socket);
      // Node closes only the current response; pipelined ones behind it would never learn that the client has left.
      for (const response of responses) {
        if (response.socket !== null || response.writableFinished) continue;
        response.destroy();
        response.emit('close');
      }
      const abandoned = responses.size;
      responses.clear();
      this.#ended(abandoned);
    });
    if (this.#draining) socket.destroySoon();
  }

  /** Whether an error may be answered on this socket: no response is under way on it. */
  isQuiet(socket: Socket): boolean {
    return this.#responses.get(socket)?.size === 0;
  }

  /**
   * Gives a socket away: it speaks no more HTTP with this server. Returns false where a response is still under way on it; the
   * connection is ended then.
   */
  surrender(socket: Socket): boolean {
    const quiet = this.isQuiet(socket);
    if (!quiet) socket.destroy();
    else this.#responses.delete(socket);
    socket.setTimeout(0);
    return quiet;
  }

  /** Counts a tunnel until the returned function is called. Its target's connection may outlast the client's. */
  hold(tunnel: HeldTunnel): () => void {
    this.#tunnels.add(tunnel);
    this.#inFlight++;
    return () => {
      if (this.#tunnels.delete(tunnel)) this.#ended(1);
    };
  }

  /** Registers a request. Returns false where it must not be handled: its connection is ended. */
  begin(socket: Socket, response: ServerResponse): boolean {
    const responses = this.#responses.get(socket);
    if (responses === undefined || responses.size >= MAX_PIPELINED) {
      socket.destroy();
      return false;
    }
    responses.add(response);
    this.#inFlight++;
    if (this.#draining) response.shouldKeepAlive = false;
    response.once('close', () => {
      if (!responses.delete(response)) return;
      if (this.#draining && responses.size === 0) socket.destroySoon();
      this.#ended(1);
    });
    return true;
  }

  /**
   * Handles a socket whose timeout passed without a byte moved. It is cut where no request is open on it, or where the client
   * does not take the bytes that were written. A client that waits for a slow upstream is kept.
   *
   * Node sees a byte move only when the kernel takes new ones, about a third of its buffer at a time (1.4 MB on loopback). So
   * twice the timeout must be long enough for the slowest welcome client to take that much. Twice, because Node waits once
   * more where a part of a write went. A small write goes as a whole or not at all, so here the socket waits once more itself.
   */
  timedOut(socket: Socket): void {
    const serving = (this.#responses.get(socket)?.size ?? 0) > 0;
    if (serving && (socket.writableLength === 0 || this.#mayYetMove(socket))) socket.setTimeout(socket.timeout ?? 0);
    else socket.destroy();
  }

  /** Whether the unsent bytes are too few to go in parts, and are not those of the last timeout. */
  #mayYetMove(socket: Socket): boolean {
    if (socket.writableLength > PIECE) return false;
    const { bytesWritten } = socket;
    if (this.#stalledAt.get(socket) === bytesWritten) return false;
    this.#stalledAt.set(socket, bytesWritten);
    return true;
  }

  /** Resolves when nothing is under way any more; from now on each connection ends with its last response. */
  drain(): Promise<void> {
    this.#draining = true;
    for (const [socket, responses] of this.#responses) {
      if (responses.size === 0) socket.destroySoon();
      for (const response of responses) if (!response.headersSent) response.shouldKeepAlive = false;
    }
    if (this.#inFlight === 0) return Promise.resolve();
    const sweep = setInterval(() => this.#endQuietTunnels(), QUIET_MS / 4);
    return new Promise((resolve) => {
      this.#onIdle = () => {
        clearInterval(sweep);
        resolve();
      };
    });
  }

  /** Requests in a tunnel cannot be seen; a tunnel in which no byte moves counts as an idle connection. */
  #endQuietTunnels(): void {
    for (const tunnel of this.#tunnels) if (tunnel.quiet >= QUIET_MS) tunnel.end();
  }

  /** Gives the remaining clients a moment to hang up, then cuts them. */
  farewell(): void {
    setTimeout(() => this.cut(), FAREWELL_MS).unref();
  }

  /** Ends every connection at once. @returns how many responses were cut short */
  cut(): number {
    const cut = this.#inFlight;
    for (const tunnel of this.#tunnels) tunnel.cut();
    for (const socket of this.#sockets) socket.destroy();
    return cut;
  }

  #ended(count: number): void {
    this.#inFlight -= count;
    if (this.#inFlight === 0) this.#onIdle?.();
  }
}

/** The reader and writer of a socket get its errors too; this handler only keeps them from being fatal. */
function ignore(): void {}
