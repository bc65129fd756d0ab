import type { OnReadOpts, Socket } from 'node:net';
import { Duplex } from 'node:stream';
import { ClientHelloSplitter } from './client-hello.ts';

/**
 * The read buffer for ciphertext, shared by all sockets of the thread: libuv reads one socket at a time, and TLS copies the
 * bytes before the read's callback returns. Decrypted bytes never land in it.
 */
const ciphertext = Buffer.allocUnsafeSlow(64 * 1024);

/**
 * The transport of TLS where its first record is to be split, or where it runs through a tunnel: for
 * `tls.connect({ socket })`.
 *
 * Node's TLS reads and writes a real socket natively, where its bytes cannot be changed; it reads a Duplex through `data`
 * events. A Duplex is slow for its new buffer per read, so this one emits views of one shared buffer and bypasses the stream's
 * own buffering: it costs no more than the native path.
 */
export class FragmentingSocket extends Duplex {
  /** For the underlying socket: `connect({ onread })`. No byte may arrive before {@link attach}. */
  readonly onread: OnReadOpts = {
    buffer: ciphertext,
    callback: (count, bytes) => {
      if (this.#below === undefined) this.destroy(new Error('it sent data before the request'));
      else this.emit('data', (bytes as Buffer).subarray(0, count));
      return this.#flowing;
    },
  };
  #splitter: ClientHelloSplitter | undefined;
  #below: Socket | undefined;
  #flowing = true;

  /** @param firstFragmentLen see {@link ClientHelloSplitter}; 0 splits nothing */
  constructor(firstFragmentLen: number) {
    super();
    this.#splitter = new ClientHelloSplitter(firstFragmentLen);
    // TLS listens for errors once attached; an earlier error must not end the process.
    this.on('error', () => undefined);
  }

  /** Takes a connected socket: one still connecting would put both records into one segment. */
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
    // `onread` emits the bytes.
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
