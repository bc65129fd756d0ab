import type { OnReadOpts, Socket } from 'node:net';
import { BufferPool, ByteRing, readInto } from '../net/index.ts';
import type { HeldTunnel } from '../server/index.ts';

/** Half the size of a body's buffer: a tunnel holds at least two, and many tunnels are idle. */
const BUFFER_BYTES = 128 * 1024;
/** Keeps 8 MiB for the process. */
const buffers = new BufferPool(64, { bytes: BUFFER_BYTES });
/** Milliseconds for one side to take its last bytes and hang up after the other has closed. */
const LINGER = 10_000;
/**
 * Milliseconds for a side that sends on though the other has closed: it does not hang up by itself. It covers the way of the
 * last bytes to it, which a reset would overtake.
 */
const FAREWELL = 1000;

interface RelayOptions {
  /** Milliseconds without a byte in either direction, or in which a side takes none of the bytes for it, after which it ends. */
  readonly idleTimeout: number;
}

/** How a relay ended: both sides hung up, one of them broke off, no byte moved for too long, or one side took none. */
export type RelayEnd = 'ended' | 'broken' | 'idle' | 'stalled';

/**
 * Copies bytes between a client and its server, both ways, until both have hung up.
 *
 * Reads land in a few reused buffers (see ByteRing), and one write at a time is under way in each direction. A side that stops
 * reading stops the other side's sending: no more than four buffers wait in a direction. Either side may end its sending
 * and go on receiving; bytes received by then are always delivered. A closed side receives no more: the other one gets what is
 * left for it, and is closed soon after, whatever it sends.
 */
export class Relay implements HeldTunnel {
  /** For the dial: keeps the server's bytes from the first on. */
  readonly onread: OnReadOpts;
  readonly #up: Direction = new Direction({
    moved: () => this.#moved(),
    dropped: () => this.#sentOn(this.#down),
  });
  readonly #down: Direction = new Direction({
    moved: () => this.#moved(),
    dropped: () => this.#sentOn(this.#up),
  });
  readonly #idleTimeout: number;
  readonly #over = Promise.withResolvers<RelayEnd>();
  #sockets: readonly Socket[] = [];
  #openSockets = 2;
  #end: RelayEnd = 'ended';
  /** When a byte last moved towards a side that is open. */
  #movedAt = performance.now();
  /** When the open side first sent on to the closed one, with nothing left to be delivered to it. */
  #sentOnAt: number | undefined;
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

  /** Milliseconds since a byte moved towards a side that is open. */
  get quiet(): number {
    return performance.now() - this.#movedAt;
  }

  /** Ends both sides; in order where no byte waits for one. */
  end(): void {
    this.#close(this.#up.waiting || this.#down.waiting ? 'broken' : 'ended');
  }

  /** Breaks off both sides. */
  cut(): void {
    this.#close('broken');
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

  #close(end: RelayEnd): void {
    if (this.#end === 'ended') this.#end = end;
    for (const socket of this.#sockets) {
      // An orderly end would claim that the transfer is complete. Only a TCP reset says otherwise.
      const isTcp = socket.remoteFamily !== undefined && !('encrypted' in socket);
      if ((end === 'broken' || end === 'stalled') && isTcp) socket.resetAndDestroy();
      else socket.destroy();
    }
  }

  #watch(socket: Socket, { out, into }: { readonly out: Direction; readonly into: Direction }): void {
    socket.on('error', () => {});
    socket.once('end', () => out.finish());
    const closed = (): void => {
      into.abandon();
      // A broken connection is no end of its data: the other side must see it break too.
      if (!out.finished) this.#close('broken');
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

  /** The open side sends on to the closed one. @param other the direction towards the open side */
  #sentOn(other: Direction): void {
    if (this.#sentOnAt !== undefined || !other.delivered) return;
    this.#sentOnAt = performance.now();
    this.#rearm(FAREWELL);
  }

  #rearm(limit: number): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(this.#check, Math.min(limit, this.#idleTimeout));
  }

  /** One timer watches the tunnel. It is set again when it fires, not at every byte. */
  readonly #check = (): void => {
    const now = performance.now();
    const stalled = Math.max(this.#up.stalled(now), this.#down.stalled(now));
    if (this.#openSockets === 2) {
      const left = this.#idleTimeout - Math.max(this.quiet, stalled);
      if (left > 1) this.#rearm(left);
      else this.#close(stalled > this.quiet ? 'stalled' : 'idle');
      return;
    }
    const linger = Math.min(LINGER, this.#idleTimeout) - this.quiet;
    const farewell = this.#sentOnAt === undefined ? linger : this.#sentOnAt + FAREWELL - now;
    const left = Math.min(linger, farewell);
    if (left > 1) this.#rearm(left);
    // A side that would send on learns that its last bytes reached no reader.
    else this.#close(this.#sentOnAt === undefined ? 'idle' : 'broken');
  };
}

/** One direction. */
class Direction {
  bytes = 0;
  /** The source has ended its sending. */
  finished = false;
  readonly #ring = new ByteRing(buffers);
  readonly #moved: () => void;
  readonly #dropped: () => void;
  #from: Socket | undefined;
  #to: Socket | undefined;
  #writing = false;
  #paused = false;
  #abandoned = false;
  /** When the destination last took a byte of the write under way, as far as was looked. */
  #takenAt = 0;
  /** Bytes that the destination's socket had yet to send then. */
  #queued = 0;

  readonly onread: OnReadOpts = {
    buffer: () => {
      const room = this.#ring.room();
      if (room !== undefined) return room;
      // The source keeps sending although it is paused and a whole buffer has filled since: the tunnel is cut.
      this.#from?.destroy();
      return Buffer.allocUnsafe(1);
    },
    callback: (count) => {
      this.bytes += count;
      // The destination is closed. Bytes are read and dropped: unread ones would reset the bytes on their way back.
      if (this.#abandoned) {
        this.#dropped();
        return true;
      }
      this.#moved();
      this.#ring.advance(count);
      this.#pump();
      this.#paused = this.#ring.full;
      return !this.#paused;
    },
  };

  /** @param on.moved called when bytes come in or go out @param on.dropped called for bytes that no side takes */
  constructor({ moved, dropped }: { readonly moved: () => void; readonly dropped: () => void }) {
    this.#moved = moved;
    this.#dropped = dropped;
  }

  /** Whether bytes wait for the destination. */
  get waiting(): boolean {
    return !this.#abandoned && (this.#writing || this.#ring.readable);
  }

  /** Nothing more will go to the destination, and it has taken all there was. */
  get delivered(): boolean {
    return this.#abandoned || (this.finished && !this.waiting);
  }

  /** Milliseconds in which the destination took none of the bytes that wait for it. */
  stalled(now: number): number {
    if (!this.#writing || this.#abandoned) return 0;
    const queued = queueOf(this.#to);
    if (queued !== undefined && queued !== this.#queued) {
      this.#queued = queued;
      this.#takenAt = now;
    }
    return now - this.#takenAt;
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
    this.#takenAt = performance.now();
    this.#to.write(region, this.#written);
    this.#queued = queueOf(this.#to) ?? 0;
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

/** Bytes that a socket has yet to hand to the kernel; undefined where Node does not say. It has no public API for parts of a write. */
function queueOf(socket: Socket | undefined): number | undefined {
  const queued = (socket as { readonly _handle?: { readonly writeQueueSize?: unknown } | null } | undefined)?._handle
    ?.writeQueueSize;
  return typeof queued === 'number' ? queued : undefined;
}
