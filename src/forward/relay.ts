import type { OnReadOpts, Socket } from 'node:net';
import { BufferPool, ByteRing, readInto } from '../net/index.ts';

/** Half of what a body has: a tunnel holds two at least, and many tunnels are idle. */
const BUFFER_BYTES = 128 * 1024;
/** 8 MiB kept for the process. */
const buffers = new BufferPool(64, BUFFER_BYTES);
/** Milliseconds for the client to hang up when the other side is gone and has been heard to the end. */
const LINGER = 10_000;

export interface RelayOptions {
  /** Milliseconds without a byte in either direction that end it. */
  readonly idleTimeout: number;
}

/** How it ended: both sides hung up, one of them broke off, or nothing moved for too long. */
export type RelayEnd = 'ended' | 'broken' | 'idle';

/**
 * Copies bytes between a client and the server it wanted, both ways, until both have hung up.
 *
 * Reads land in a few buffers used again (see ByteRing), one write at a time is under way in each direction, and a reader
 * that stops reading stops the other side's sending: no more than four buffers ever wait for anybody. Either side may end
 * its sending and go on listening; what was received by then is always delivered.
 */
export class Relay {
  /** For the dial: what the server says is kept from its first byte on. */
  readonly onread: OnReadOpts;
  readonly #up = new Way(() => this.#moved());
  readonly #down = new Way(() => this.#moved());
  readonly #idleTimeout: number;
  readonly #over = Promise.withResolvers<RelayEnd>();
  #sockets: readonly Socket[] = [];
  #open = 2;
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
   * Begins to copy, and resolves when both sockets are closed.
   *
   * @param first what the client said already
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
    // Neither a socket that was dialled nor one that ends TLS is made so: it would hang up as soon as it has heard all.
    for (const socket of this.#sockets) socket.allowHalfOpen = true;
    this.#watch(client, { out: this.#up, into: this.#down });
    this.#watch(target, { out: this.#down, into: this.#up });
    // What the client sent meanwhile lies in its stream; from here on its socket fills our buffers itself.
    this.#up.keep(first);
    for (let chunk = client.read() as Buffer | null; chunk !== null; chunk = client.read() as Buffer | null) {
      this.#up.keep(chunk);
    }
    readInto(client, this.#up.onread);
    this.#up.connect(client, target);
    this.#down.connect(target, client);
    client.resume();
    target.resume();
    this.#timer = setTimeout(this.#look, this.#idleTimeout);
    return this.#over.promise;
  }

  /** Cuts both. */
  #cut(end: RelayEnd): void {
    if (this.#end === 'ended') this.#end = end;
    for (const socket of this.#sockets) {
      // An orderly end would say that all there was has come. Only TCP can say otherwise.
      const isTcp = socket.remoteFamily !== undefined && !('encrypted' in socket);
      if (end === 'broken' && isTcp) socket.resetAndDestroy();
      else socket.destroy();
    }
  }

  #watch(socket: Socket, { out, into }: { readonly out: Way; readonly into: Way }): void {
    socket.on('error', () => {});
    socket.once('end', () => out.finish());
    const closed = (): void => {
      into.abandon();
      // A connection that broke is no end of what it sent: the other side must see it break too.
      if (!out.finished) this.#cut('broken');
      this.#open -= 1;
      if (this.#open === 0) this.#finish();
      else this.#rearm(LINGER);
    };
    if (socket.closed) closed();
    else socket.once('close', closed);
  }

  #finish(): void {
    clearTimeout(this.#timer);
    // Closed sockets fill no buffer any more.
    this.#up.clear();
    this.#down.clear();
    this.#over.resolve(this.#end);
  }

  #moved(): void {
    this.#movedAt = performance.now();
  }

  #rearm(limit: number): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(this.#look, Math.min(limit, this.#idleTimeout));
  }

  /** One timer watches the tunnel; it is armed anew when it goes off, not at every byte. */
  readonly #look = (): void => {
    const limit = this.#open === 2 ? this.#idleTimeout : Math.min(LINGER, this.#idleTimeout);
    const left = limit - this.quiet;
    if (left <= 1) this.#cut('idle');
    else this.#rearm(left);
  };
}

/** One direction. */
class Way {
  bytes = 0;
  /** The source has said all it will say. */
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
      // A source that goes on though it was paused for the length of a whole buffer is none we can keep.
      this.#from?.destroy();
      return Buffer.allocUnsafe(1);
    },
    callback: (count) => {
      this.bytes += count;
      this.#moved();
      // Nobody is there to be told: heard and dropped, since unread bytes would reset what is on its way back.
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

  /** Takes bytes that came before {@link connect}: a copy. */
  keep(bytes: Buffer): void {
    this.bytes += bytes.length;
    for (let rest = bytes; rest.length > 0; ) {
      const room = this.#ring.room();
      // Four buffers hold more than the client's stream could.
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

  /** A socket that is destroyed calls it with an error, and is closed soon: then the other side is told. */
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
