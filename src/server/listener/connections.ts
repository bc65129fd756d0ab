import type { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { PIECE } from '../exchange/index.ts';

/**
 * Requests one connection may have open at a time. Node starts each pipelined request at once, whether or not the one
 * before it was answered; no registry client pipelines, so more than this is somebody trying us.
 */
const MAX_PIPELINED = 32;

/** What is left when nothing runs any more: clients that do not hang up, handshakes that do not end. */
const FAREWELL_MS = 1000;

/** Longer than a pull in a tunnel pauses between an answer and its next request. */
const QUIET_MS = 1000;

/**
 * The connections of a front door and the responses (or tunnels) under way on each: what must be known to drain.
 *
 * To drain is to let what runs finish and to end all else: idle connections go at once, a response whose head is not
 * sent yet says `Connection: close`, a connection ends with its last response.
 */
export class Connections {
  /** Every socket the kernel gave us, those in a TLS handshake included. */
  readonly #sockets = new Set<Socket>();
  /** Those that speak HTTP, with their unfinished responses. */
  readonly #responses = new Map<Socket, Set<ServerResponse>>();
  /** Those that are tunnels, with how long nothing has moved in them. */
  readonly #tunnels = new Map<Socket, () => number>();
  /** What had been written to those that were found without movement, behind which little waited. */
  readonly #found = new WeakMap<Socket, number>();
  #inFlight = 0;
  #draining = false;
  #onIdle: (() => void) | undefined;

  /** Responses and tunnels under way. */
  get inFlight(): number {
    return this.#inFlight;
  }

  /** No new work is taken. */
  get draining(): boolean {
    return this.#draining;
  }

  get open(): number {
    return this.#sockets.size;
  }

  /** A socket came in, before any handshake. */
  accept(socket: Socket): void {
    this.#sockets.add(socket);
    socket.on('error', ignore);
    socket.once('close', () => this.#sockets.delete(socket));
  }

  /** A socket begins to speak HTTP: the accepted one itself, or the TLS socket above it. */
  establish(socket: Socket): void {
    const responses = new Set<ServerResponse>();
    this.#responses.set(socket, responses);
    socket.on('error', ignore);
    socket.once('close', () => {
      this.#responses.delete(socket);
      // Node tells only the response whose turn it is; those queued behind it would never hear that nobody listens.
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

  /** Whether an error on this socket may be answered: nothing else is being said on it. */
  isQuiet(socket: Socket): boolean {
    return this.#responses.get(socket)?.size === 0;
  }

  /**
   * A socket speaks no HTTP with us any more: whoever has it now watches over it. False where an answer is still to be sent
   * on it, and the connection is ended.
   */
  surrender(socket: Socket): boolean {
    const quiet = this.isQuiet(socket);
    if (!quiet) socket.destroy();
    else this.#responses.delete(socket);
    socket.setTimeout(0);
    return quiet;
  }

  /** A surrendered socket is a tunnel: something under way until it closes. @param quiet milliseconds without a byte */
  hold(socket: Socket, quiet: () => number): void {
    this.#tunnels.set(socket, quiet);
    this.#inFlight++;
    socket.once('close', () => {
      this.#tunnels.delete(socket);
      this.#ended(1);
    });
  }

  /** A request begins. False: it must not be handled, its connection is ended. */
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
   * A socket was without any movement for as long as its timeout: it is cut where nobody is served on it, or where the
   * client does not take what was written. One that waits for us (a slow upstream) is not to blame and waits on.
   *
   * Movement is what Node sees of it: the kernel takes new bytes about a third of its buffer at a time (1.4 MB on
   * loopback), so twice the limit must be long enough for the slowest welcome client to take that much. Twice, as Node waits
   * once more where a part of what was written went; what is small goes as a whole or not at all, so that it is we who do.
   */
  timedOut(socket: Socket): void {
    const serving = (this.#responses.get(socket)?.size ?? 0) > 0;
    if (serving && (socket.writableLength === 0 || this.#mayYetMove(socket))) socket.setTimeout(socket.timeout ?? 0);
    else socket.destroy();
  }

  /** Whether what waits is too small to go in parts, and did not wait already when the socket was last found so. */
  #mayYetMove(socket: Socket): boolean {
    if (socket.writableLength > PIECE) return false;
    const { bytesWritten } = socket;
    if (this.#found.get(socket) === bytesWritten) return false;
    this.#found.set(socket, bytesWritten);
    return true;
  }

  /** Resolves when nothing runs any more; from now on every connection ends with what runs on it. */
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

  /** What a client does in a tunnel cannot be seen, but one in which nothing moves is a connection it merely keeps. */
  #endQuietTunnels(): void {
    for (const [socket, quiet] of this.#tunnels) if (quiet() >= QUIET_MS) socket.destroy();
  }

  /** Gives what is left a moment to hang up, then cuts it. */
  farewell(): void {
    setTimeout(() => this.cut(), FAREWELL_MS).unref();
  }

  /** Ends every connection at once; returns how many responses were cut short. */
  cut(): number {
    const cut = this.#inFlight;
    for (const socket of this.#sockets) socket.destroy();
    return cut;
  }

  #ended(count: number): void {
    this.#inFlight -= count;
    if (this.#inFlight === 0) this.#onIdle?.();
  }
}

/** Errors of a socket are also told to whoever reads or writes it; here they only must not be fatal. */
function ignore(): void {}
