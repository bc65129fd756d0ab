import type { OnReadOpts, Socket } from 'node:net';
import type { Dialled } from '../dial/index.ts';

/** Whoever has a connection for the length of one exchange. None of these may throw. */
export interface ConnectionUser {
  /** Where the next bytes are to land; undefined: in the thread's landing buffer, to be used before `bytes` returns. */
  room(): Buffer | undefined;
  /** The first `count` bytes of `piece` came; false pauses the socket. */
  bytes(piece: Buffer, count: number): boolean;
  /** No more bytes come: the other side's end, or the error that broke the connection. */
  ended(error: Error | undefined): void;
  /** The socket is gone and writes into no buffer any more. */
  closed(): void;
}

/**
 * Where bytes land that nobody has given a place: heads of answers, and what comes when nothing may. libuv reads and calls
 * back in one go, so one buffer serves every socket of the thread, as long as nobody keeps a view of it.
 */
const landing = Buffer.allocUnsafeSlow(64 * 1024);

/**
 * One socket that serves one exchange after another, read through `onread`: bytes land in memory that is used again,
 * where Node would otherwise allocate 64 KiB for each read.
 *
 * Trap: Node asks `onread.buffer` only right after each callback, so the *last* answer holds however long the socket is
 * idle or paused. That is why a connection without a user always has the landing buffer under it.
 */
export class Connection {
  #socket: Socket | undefined;
  /** The TCP connection below: the one that keeps a process alive. */
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

  /** Connects by `dial`, which is told where reads are to land and rejects with what it will. */
  static async open<Target extends object>(
    dial: (target: Target & { readonly onread: OnReadOpts }) => Promise<Dialled>,
    target: NoInfer<Target>,
  ): Promise<Connection> {
    const connection = new Connection();
    connection.#attach(await dial({ ...target, onread: connection.#onread }));
    return connection;
  }

  /** It served an exchange before: the other side may have closed it while the request was on its way. */
  get reused(): boolean {
    return this.#uses > 1;
  }

  get alive(): boolean {
    return this.#socket !== undefined && !this.#spoiled && !this.#socket.destroyed;
  }

  get remoteAddress(): string | undefined {
    return this.#remoteAddress;
  }

  /** Hears, once, that the connection can serve nobody any more. */
  whenDead(listener: () => void): void {
    if (this.alive) this.#onDead.push(listener);
    else listener();
  }

  /** Hands the connection to a user and sends what it asks; a text goes out in latin1. */
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
   * Sends more of what its user asks, as a chunk of its own where that is wanted (RFC 9112 §7.1).
   *
   * @param written called when the memory may be used again; not called where the connection is lost meanwhile
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

  /** Takes the connection from its user, who has all it wanted. */
  leave(): void {
    this.#user = undefined;
    // Unread, the socket would neither show an unasked byte nor its end.
    this.resume();
  }

  /** Reads on after `bytes` returned false. */
  resume(): void {
    if (!this.#paused) return;
    this.#paused = false;
    this.#socket?.resume();
  }

  /** Unused for `idle` milliseconds, it closes; meanwhile it keeps no process alive. */
  park(idle: number): void {
    this.#socket?.setTimeout(idle);
    this.#connection?.unref();
  }

  unpark(): void {
    this.#socket?.setTimeout(0);
    this.#connection?.ref();
  }

  /** Closes it at once; `reason` is what its user hears, the end of the connection where there is none. */
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
    // Bytes before any request: whoever speaks first speaks no HTTP.
    if (this.#spoiled) this.destroy();
  }

  #bytes(piece: Buffer, count: number): boolean {
    if (this.#user === undefined) {
      // Nobody asked. Kept, these bytes would be taken for the next answer (CVE-2026-6733).
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
