import type { OnReadOpts, Socket } from 'node:net';
import { BufferPool, ByteRing, readInto } from '../net/index.ts';

/** Half the size of a body's buffer: a tunnel holds at least two, and many tunnels are idle. */
const BUFFER_BYTES = 128 * 1024;
/** Keeps 8 MiB for the process. */
const buffers = new BufferPool(64, BUFFER_BYTES);
/** Milliseconds for one side to hang up after the other has closed. */
const LINGER = 10_000;

interface RelayOptions {
  /** Milliseconds without a byte in either direction after which it ends. */
  readonly idleTimeout: number;
}

/** How a relay ended: both sides hung up, one of them broke off, or no byte moved for too long. */
export type RelayEnd = 'ended' | 'broken' | 'idle';

/**
 * Copies bytes between a client and its server, both ways, until both have hung up.
 *
 * Reads land in a few reused buffers (see ByteRing), and one write at a time is under way in each direction. A side that stops
 * reading stops the other side's sending: no more than four buffers wait in a direction. Either side may end its sending
 * and go on receiving; bytes received by then are always delivered.
 */
export class Relay {
  /** For the dial: keeps the server's bytes from the first on. */
  readonly onread: OnReadOpts;
  readonly #up = new Direction(() => this.#moved());
  readonly #down = new Direction(() => this.#moved());
  readonly #idleTimeout: number;
  readonly #over = Promise.withResolvers<RelayEnd>();
  #sockets: readonly Socket[] = [];
  #openSockets = 2;
  #end: RelayEnd = 'ended';
  #movedAt = performance.now();
  #timer: NodeJS.Timeout | undefined;

  constructor({ idleTimeout }: RelayOptions) {
    this.#idleTimeout = idleTimeout;
    this.onread = this.#down.onread;
  }

  /** Bytes from the client. */
  get sent(): number {
    return this.#up.bytes;
  }

  /** Bytes for the client. */
  get received(): number {
    return this.#down.bytes;
  }

  /** Milliseconds since a byte moved. */
  get quiet(): number {
    return performance.now() - this.#movedAt;
  }

  /**
   * Starts to copy, and resolves when both sockets are closed.
   *
   * @param first bytes that the client has sent already
   */
  run({
    client,
    target,
    first,
  }: {
    readonly client: Socket;
    readonly target: Socket;
    readonly first: Buffer;
  }): Promise<RelayEnd> {
    this.#sockets = [client, target];
    // Dialled sockets and TLS sockets are not half-open by default: they would close at the end of what they receive.
    for (const socket of this.#sockets) socket.allowHalfOpen = true;
    this.#watch(client, { out: this.#up, into: this.#down });
    this.#watch(target, { out: this.#down, into: this.#up });
    // Bytes that the client sent meanwhile are in its stream; from here on its socket fills the ring's buffers itself.
    this.#up.keep(first);
    for (let chunk = client.read() as Buffer | null; chunk !== null; chunk = client.read() as Buffer | null) {
      this.#up.keep(chunk);
    }
    readInto(client, this.#up.onread);
    this.#up.connect(client, target);
    this.#down.connect(target, client);
    client.resume();
    target.resume();
    this.#timer = setTimeout(this.#check, this.#idleTimeout);
    return this.#over.promise;
  }

  /** Cuts both sides. */
  #cut(end: RelayEnd): void {
    if (this.#end === 'ended') this.#end = end;
    for (const socket of this.#sockets) {
      // An orderly end would claim that the transfer is complete. Only a TCP reset says otherwise.
      const isTcp = socket.remoteFamily !== undefined && !('encrypted' in socket);
      if (end === 'broken' && isTcp) socket.resetAndDestroy();
      else socket.destroy();
    }
  }

  #watch(socket: Socket, { out, into }: { readonly out: Direction; readonly into: Direction }): void {
    socket.on('error', () => {});
    socket.once('end', () => out.finish());
    const closed = (): void => {
      into.abandon();
      // A broken connection is no end of its data: the other side must see it break too.
      if (!out.finished) this.#cut('broken');
      this.#openSockets -= 1;
      if (this.#openSockets === 0) this.#finish();
      else this.#rearm(LINGER);
    };
    if (socket.closed) closed();
    else socket.once('close', closed);
  }

  #finish(): void {
    clearTimeout(this.#timer);
    // Closed sockets no longer fill a buffer.
    this.#up.clear();
    this.#down.clear();
    this.#over.resolve(this.#end);
  }

  #moved(): void {
    this.#movedAt = performance.now();
  }

  #rearm(limit: number): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(this.#check, Math.min(limit, this.#idleTimeout));
  }

  /** One timer watches the tunnel. It is set again when it fires, not at every byte. */
  readonly #check = (): void => {
    const limit = this.#openSockets === 2 ? this.#idleTimeout : Math.min(LINGER, this.#idleTimeout);
    const left = limit - this.quiet;
    if (left <= 1) this.#cut('idle');
    else this.#rearm(left);
  };
}

/** One direction. */
class Direction {
  bytes = 0;
  /** The source has ended its sending. */
  finished = false;
  readonly #ring = new ByteRing(buffers);
  readonly #moved: () => void;
  #from: Socket | undefined;
  #to: Socket | undefined;
  #writing = false;
  #paused = false;
  #abandoned = false;

  readonly onread: OnReadOpts = {
    buffer: () => {
      const room = this.#ring.room();
      if (room !== undefined) return room;
      // The source sends on though it is paused and a whole buffer has filled since: it is cut.
      this.#from?.destroy();
      return Buffer.allocUnsafe(1);
    },
    callback: (count) => {
      this.bytes += count;
      this.#moved();
      // The destination is closed. Bytes are read and dropped: unread ones would reset the bytes on their way back.
      if (this.#abandoned) return true;
      this.#ring.advance(count);
      this.#pump();
      this.#paused = this.#ring.full;
      return !this.#paused;
    },
  };

  constructor(moved: () => void) {
    this.#moved = moved;
  }

  /** Copies bytes that came before {@link connect}. */
  keep(bytes: Buffer): void {
    this.bytes += bytes.length;
    for (let rest = bytes; rest.length > 0; ) {
      const room = this.#ring.room();
      // Not reached: four buffers hold more than the client's stream can.
      if (room === undefined) return;
      const count = rest.copy(room);
      this.#ring.advance(count);
      rest = rest.subarray(count);
    }
  }

  connect(from: Socket, to: Socket): void {
    this.#from = from;
    this.#to = to;
    this.#pump();
  }

  finish(): void {
    this.finished = true;
    this.#pump();
  }

  /** The destination is closed. */
  abandon(): void {
    this.#abandoned = true;
    this.#resume();
  }

  clear(): void {
    this.#ring.clear();
  }

  #pump(): void {
    if (this.#writing || this.#to === undefined || this.#abandoned) return;
    const region = this.#ring.take();
    if (region === undefined) {
      if (this.finished && !this.#to.writableEnded) this.#to.end();
      return;
    }
    this.#writing = true;
    this.#to.write(region, this.#written);
  }

  /** A destroyed socket calls it with an error and closes soon; its `close` then ends the other side. */
  readonly #written = (error?: Error | null): void => {
    if (error !== undefined && error !== null) return;
    this.#writing = false;
    this.#moved();
    this.#pump();
    this.#resume();
  };

  #resume(): void {
    if (!this.#paused || (this.#ring.full && !this.#abandoned)) return;
    this.#paused = false;
    this.#from?.resume();
  }
}
