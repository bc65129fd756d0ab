import type { OnReadOpts, Socket } from 'node:net';
import { Duplex } from 'node:stream';
import { ClientHelloSplitter } from './client-hello.ts';

/**
 * Where encrypted bytes land, of all sockets of the thread: TLS copies them before the callback of the read returns, and
 * libuv reads one socket at a time. It is never the buffer that decrypted bytes land in.
 */
const ciphertext = Buffer.allocUnsafeSlow(64 * 1024);

/**
 * What TLS speaks through where its first record is to be cut in two, or where it speaks through somebody else's
 * connection: give it to `tls.connect({ socket })`.
 *
 * Node's TLS reads and writes a real socket natively, out of reach; a Duplex it reads through `data` events. What makes a
 * Duplex slow is a fresh buffer for each read, so this one emits views of one shared buffer, past the machinery of streams:
 * it costs what the native path costs.
 */
export class FragmentingSocket extends Duplex {
  /** For the socket below: `connect({ onread })`. Nothing may arrive before {@link attach}. */
  readonly onread: OnReadOpts = {
    buffer: ciphertext,
    callback: (count, bytes) => {
      if (this.#below === undefined) this.destroy(new Error('it spoke before it was asked'));
      else this.emit('data', (bytes as Buffer).subarray(0, count));
      return this.#flowing;
    },
  };
  #splitter: ClientHelloSplitter | undefined;
  #below: Socket | undefined;
  #flowing = true;

  /** @param firstFragmentLen see {@link ClientHelloSplitter}; 0 cuts nothing */
  constructor(firstFragmentLen: number) {
    super();
    this.#splitter = new ClientHelloSplitter(firstFragmentLen);
    // TLS listens once it is attached; a connection that breaks before must not end the process.
    this.on('error', () => undefined);
  }

  /** Speaks through a socket that is connected already: connecting, it would put both records into one segment. */
  attach(below: Socket): void {
    this.#below = below;
    below.on('error', (error) => this.destroy(error));
    below.on('end', () => this.emit('end'));
    below.on('close', () => this.destroy());
    if (below.destroyed) this.destroy();
  }

  override resume(): this {
    if (this.#flowing) return this;
    this.#flowing = true;
    this.#below?.resume();
    return this;
  }

  override pause(): this {
    if (!this.#flowing) return this;
    this.#flowing = false;
    this.#below?.pause();
    return this;
  }

  override _read(): void {
    // Bytes are emitted as they come.
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, written: (error?: Error | null) => void): void {
    const below = this.#below;
    if (below === undefined) return written(new Error('nothing to write to'));
    if (this.#splitter === undefined) return void below.write(chunk, written);
    const pieces = this.#splitter.push(chunk);
    if (this.#splitter.done) this.#splitter = undefined;
    const last = pieces.length - 1;
    if (last === -1) return written();
    for (const piece of pieces.slice(0, last)) below.write(piece);
    below.write(pieces[last] ?? '', written);
  }

  override _final(ended: (error?: Error | null) => void): void {
    if (this.#below === undefined) ended();
    else this.#below.end(() => ended());
  }

  override _destroy(error: Error | null, destroyed: (error?: Error | null) => void): void {
    this.#below?.destroy();
    destroyed(error);
  }
}
