import type { OnReadOpts, Socket } from 'node:net';
import type { Dialled } from '../dial/index.ts';

/** The user of a connection during one exchange. Its methods must not throw. */
export interface ConnectionUser {
  /** The buffer for the next bytes; undefined: the shared landing buffer, valid until `bytes` returns. */
  room(): Buffer | undefined;
  /** `piece` holds `count` new bytes; a result of false pauses the socket. */
  bytes(piece: Buffer, count: number): boolean;
  /** No more bytes follow: the server ended the connection, or an error broke it. */
  ended(error: Error | undefined): void;
  /** The socket is closed, and writes into no buffer any more. */
  closed(): void;
}

/**
 * The read buffer where the user offers none: for heads of responses and for unsolicited bytes. libuv reads and calls back in one
 * step, so one buffer serves all sockets of the thread, as long as no view of it is kept.
 */
const landing = Buffer.allocUnsafeSlow(64 * 1024);

/**
 * One socket that serves one exchange after another, read through `onread` into reused memory: Node would otherwise allocate
 * 64 KiB for each read.
 *
 * Trap: Node calls `onread.buffer` only right after each callback, so its *last* result is used however long the socket is idle
 * or paused. That is why a connection without a user always reads into the landing buffer.
 */
export class Connection {
  #socket: Socket | undefined;
  /** The TCP connection, which keeps the process alive. */
  #connection: Socket | undefined;
  #remoteAddress: string | undefined;
  #user: ConnectionUser | undefined;
  #paused = false;
  #spoiled = false;
  #uses = 0;
  readonly #onDead: (() => void)[] = [];
  readonly #onread: OnReadOpts = {
    buffer: () => this.#user?.room() ?? landing,
    callback: (count, piece) => this.#bytes(piece as Buffer, count),
  };

  /** Connects by `dial`, which reads into the given `onread`; its errors are passed on. */
  static async open<Target extends object>(
    dial: (target: Target & { readonly onread: OnReadOpts }) => Promise<Dialled>,
    target: NoInfer<Target>,
  ): Promise<Connection> {
    const connection = new Connection();
    connection.#attach(await dial({ ...target, onread: connection.#onread }));
    return connection;
  }

  /** True from the second exchange on: the server may close the connection while a request is on its way. */
  get reused(): boolean {
    return this.#uses > 1;
  }

  get alive(): boolean {
    return this.#socket !== undefined && !this.#spoiled && !this.#socket.destroyed;
  }

  get remoteAddress(): string | undefined {
    return this.#remoteAddress;
  }

  /** Calls the listener once the connection is unusable. */
  whenDead(listener: () => void): void {
    if (this.alive) this.#onDead.push(listener);
    else listener();
  }

  /** Gives the connection to a user and sends its request; a text is sent in latin1. */
  begin(user: ConnectionUser, request: string | Buffer): void {
    this.#uses++;
    if (!this.alive) {
      user.ended(undefined);
      return user.closed();
    }
    this.#user = user;
    this.#socket?.write(request, 'latin1');
  }

  /**
   * Sends a part of the request's body, with `chunked` as a chunk (RFC 9112 §7.1).
   *
   * @param written called when the memory may be reused; not called where the connection is lost
   */
  write(bytes: Buffer, { chunked, written }: { readonly chunked: boolean; readonly written: () => void }): void {
    const socket = this.#socket;
    if (socket === undefined || !this.alive) return;
    const taken = (error?: Error | null): void => {
      if (error === undefined || error === null) written();
    };
    if (!chunked) {
      socket.write(bytes, taken);
      return;
    }
    socket.cork();
    socket.write(`${bytes.length.toString(16)}\r\n`, 'latin1');
    socket.write(bytes);
    socket.write('\r\n', 'latin1', taken);
    socket.uncork();
  }

  /** Ends the user's exchange, which is complete. */
  detach(): void {
    this.#user = undefined;
    // A paused socket would report neither an unsolicited byte nor its end.
    this.resume();
  }

  /** Resumes reading after `bytes` returned false. */
  resume(): void {
    if (!this.#paused) return;
    this.#paused = false;
    this.#socket?.resume();
  }

  /** Closes after `idle` milliseconds without use; until then it does not keep the process alive. */
  park(idle: number): void {
    this.#socket?.setTimeout(idle);
    this.#connection?.unref();
  }

  unpark(): void {
    this.#socket?.setTimeout(0);
    this.#connection?.ref();
  }

  /** Closes the connection at once. Its user gets `reason`, or else the end of the connection. */
  destroy(reason?: Error): void {
    this.#spoiled = true;
    if (reason !== undefined) this.#user?.ended(reason);
    this.#socket?.destroy();
    for (const listener of this.#onDead.splice(0)) listener();
  }

  #attach({ socket, connection, remoteAddress }: Dialled): void {
    this.#socket = socket;
    this.#connection = connection;
    this.#remoteAddress = remoteAddress;
    socket.on('timeout', () => this.destroy());
    socket.on('error', (error) => this.#over(error));
    socket.on('end', () => this.#over(undefined));
    socket.on('close', () => {
      this.#over(undefined);
      const user = this.#user;
      this.#user = undefined;
      user?.closed();
    });
    // Bytes arrived before any request: the server does not speak HTTP.
    if (this.#spoiled) this.destroy();
  }

  #bytes(piece: Buffer, count: number): boolean {
    if (this.#user === undefined) {
      // Unsolicited bytes would be taken for the next response (CVE-2026-6733).
      this.destroy();
      return true;
    }
    if (this.#user.bytes(piece, count)) return true;
    this.#paused = true;
    return false;
  }

  #over(error: Error | undefined): void {
    this.#user?.ended(error);
    this.destroy();
  }
}
