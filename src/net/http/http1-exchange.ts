import type { ByteSource } from '../../lib/index.ts';
import { abortedError, httpErrorOf } from '../error.ts';
import { HeadReader, parseResponseHead, type ResponseHead } from '../head/index.ts';
import { HttpError, type RequestBody } from '../http-types.ts';
import { type BodyFraming, framingFor } from './body-framing.ts';
import { BufferPool, ByteRing } from './byte-ring.ts';
import type { Connection, ConnectionUser } from './connection.ts';

export interface ExchangeOptions {
  readonly method: string;
  /** Host and port, for messages. */
  readonly authority: string;
  /** Milliseconds. */
  readonly responseHeaderTimeout: number;
  /** Milliseconds. */
  readonly bodyIdleTimeout: number;
  readonly signal: AbortSignal | undefined;
  /** Gives the connection back, which can serve again. */
  readonly release: (connection: Connection) => void;
}

/** 100, 102, 103 before an answer; more than a few are a way to keep us waiting. */
const MAX_INTERIM = 5;

const LAST_CHUNK = Buffer.from('0\r\n\r\n');

/** 8 MiB kept for the process: a hundred bodies in turn allocate what one did. */
const buffers = new BufferPool(32);

/**
 * One request and its answer on a connection, and the body of that answer as a pulled source.
 *
 * ```
 *  head ──final head──▶ body ──last byte──▶ complete      (the connection is free from here; the ring is read empty)
 *    │                    │
 *    └──error, abort──────┴──▶ failed                     (the connection is destroyed; buffered bytes are still read,
 *                                                          unless the reader itself gave up)
 * ```
 */
export class Http1Exchange implements ConnectionUser, ByteSource {
  readonly #connection: Connection;
  readonly #options: ExchangeOptions;
  readonly #heads = new HeadReader();
  #interim = 0;
  #untouched = true;
  #head: ResponseHead | undefined;
  #answer = Promise.withResolvers<ResponseHead>();
  #framing: BodyFraming | undefined;
  readonly #ring = new ByteRing(buffers);
  #state: 'head' | 'body' | 'complete' | 'failed' = 'head';
  #error: Error | undefined;
  #reader: PromiseWithResolvers<Buffer | undefined> | undefined;
  #waitingSince = 0;
  #delivery = false;
  /** Nothing can land in the ring any more: the connection serves another, or its socket is closed. */
  #landed = false;
  /** The reader gave up: what was received is of no use. */
  #abandoned = false;
  #timer: NodeJS.Timeout | undefined;
  /** The body of the request, while it is on its way. */
  #outgoing: RequestBody | undefined;
  #writing: PromiseWithResolvers<void> | undefined;

  constructor(connection: Connection, options: ExchangeOptions) {
    this.#connection = connection;
    this.#options = options;
  }

  /** No byte of an answer came. */
  get untouched(): boolean {
    return this.#untouched;
  }

  /**
   * Sends the request and gives the head of the answer; its body is then to be read or cancelled.
   *
   * @param body what follows the request as it comes. The time for an answer counts from its last piece that was taken.
   */
  send(request: Buffer, body?: RequestBody): Promise<ResponseHead> {
    const { authority, responseHeaderTimeout: limit, signal } = this.#options;
    if (signal?.aborted) {
      body?.source.cancel();
      this.#abort();
    } else {
      this.#timer = setTimeout(() => {
        const message = `${authority} did not answer in time: no head of an answer within ${limit} ms`;
        this.#fail(new HttpError('timeout', message));
      }, limit);
      signal?.addEventListener('abort', this.#abort, { once: true });
      this.#connection.begin(this, request);
      if (body !== undefined) void this.#sendBody(body);
    }
    return this.#answer.promise;
  }

  /** Never rejects: a body that cannot be sent is the exchange's failure. */
  async #sendBody(body: RequestBody): Promise<void> {
    const { source, length } = body;
    this.#outgoing = body;
    let sent = 0;
    try {
      for (;;) {
        const chunk = await source.read();
        if (!this.#takesBody) return source.cancel();
        if (chunk === undefined) break;
        sent += chunk.length;
        if (length !== undefined && sent > length) throw new Error(`it has more than the ${length} bytes it announced`);
        if (chunk.length > 0) await this.#write(chunk, length === undefined);
      }
      if (length !== undefined && sent < length) throw new Error(`it ended after ${sent} of ${length} bytes`);
      if (length === undefined) await this.#write(LAST_CHUNK, false);
      this.#outgoing = undefined;
    } catch (error) {
      source.cancel();
      const { authority } = this.#options;
      const reason = error instanceof Error ? error.message : String(error);
      const message = `The body for ${authority} broke off: ${reason}`;
      // An answer that came before it goes on for as long as the connection does.
      if (this.#takesBody) this.#fail(new HttpError('aborted', message, { cause: error }));
    }
  }

  /** False where the other side needs no more of the request: it has refused it, or the exchange is over. */
  get #takesBody(): boolean {
    return this.#state === 'head' || (this.#state === 'body' && (this.#head?.status ?? 0) < 300);
  }

  #write(bytes: Buffer, chunked: boolean): Promise<void> {
    const writing = Promise.withResolvers<void>();
    this.#writing = writing;
    const written = (): void => {
      if (this.#state === 'head') this.#timer?.refresh();
      // Whoever answers while it is still being told waits for the rest: as long as that moves, nothing stands still.
      else this.#waitingSince = performance.now();
      writing.resolve();
    };
    this.#connection.write(bytes, { chunked, written });
    return writing.promise;
  }

  /** See ByteSource. What was received before the body broke off is given before the error is. */
  read(): Promise<Buffer | undefined> {
    if (this.#reader !== undefined)
      return Promise.reject(new TypeError('A body has one reader, and one read() at a time'));
    if (this.#abandoned) return Promise.reject(this.#error);
    const ring = this.#ring;
    ring.release();
    if (this.#state === 'body' && !ring.full) this.#connection.resume();
    if (ring.ripe || (ring.readable && this.#state === 'failed')) return Promise.resolve(ring.take());
    if (this.#state === 'failed') return Promise.reject(this.#error);
    if (this.#state === 'complete') return Promise.resolve(undefined);
    this.#reader = Promise.withResolvers();
    this.#waitingSince = performance.now();
    if (ring.readable) this.#deliverSoon();
    else this.#timer ??= setTimeout(this.#watch, this.#options.bodyIdleTimeout);
    return this.#reader.promise;
  }

  cancel(reason?: Error): void {
    this.#giveUp(reason ?? abortedError(this.#options.authority));
  }

  room(): Buffer | undefined {
    if (this.#state !== 'body') return undefined;
    const room = this.#ring.room();
    if (room === undefined) this.#refuse(new Error('more bytes than a paused connection can hold'));
    return room;
  }

  bytes(piece: Buffer, count: number): boolean {
    try {
      if (this.#state === 'head') {
        this.#untouched = false;
        this.#headBytes(piece.subarray(0, count));
      } else if (this.#state === 'body' && this.#framing !== undefined) {
        this.#ring.advance(this.#framing.accept(piece, count));
      }
    } catch (error) {
      this.#refuse(error);
    }
    return this.#settle();
  }

  ended(error: Error | undefined): void {
    if (this.#state === 'body' && error === undefined && this.#head?.body.kind === 'until-close') {
      return this.#complete();
    }
    if (this.#state !== 'head' && this.#state !== 'body') return;
    const { authority } = this.#options;
    this.#fail(httpErrorOf(error ?? new Error('it closed the connection'), { authority, phase: this.#state }));
  }

  closed(): void {
    this.#landed = true;
    if (this.#abandoned) this.#ring.clear();
    else this.#ring.seal();
  }

  #headBytes(bytes: Buffer): void {
    let rest = bytes;
    while (rest.length > 0) {
      const { used, head } = this.#heads.push(rest);
      rest = rest.subarray(used);
      if (head === undefined) return;
      const parsed = parseResponseHead(head, this.#options.method);
      if (parsed.status === 101) throw new HttpError('protocol', 'another protocol was switched to, unasked');
      if (parsed.status >= 200) return this.#begin(parsed, rest);
      if (++this.#interim > MAX_INTERIM) throw new HttpError('protocol', `more than ${MAX_INTERIM} interim answers`);
    }
  }

  /** The answer begins; what came behind its head is the start of the body, in memory that is used again at once. */
  #begin(head: ResponseHead, rest: Buffer): void {
    this.#head = head;
    this.#state = 'body';
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const framing = framingFor(head.body);
    this.#framing = framing;
    // Before the first bytes of the body: whatever is wrong with those is the body's error, not the answer's.
    this.#answer.resolve(head);
    if (rest.length > 0) {
      const payload = framing.accept(rest, rest.length);
      const room = this.#ring.room();
      if (room !== undefined) this.#ring.advance(rest.copy(room, 0, 0, payload));
    }
  }

  /** After every piece: is the body complete, is a reader served, may the socket go on? */
  #settle(): boolean {
    if (this.#state !== 'body' || this.#framing === undefined) return true;
    if (this.#framing.done) {
      this.#complete();
      return true;
    }
    if (this.#reader !== undefined && this.#ring.readable) {
      if (this.#ring.ripe) this.#deliver();
      else this.#deliverSoon();
    }
    return !this.#ring.full;
  }

  #complete(): void {
    const reusable =
      this.#outgoing === undefined &&
      this.#head?.keepAlive === true &&
      this.#framing?.done === true &&
      !this.#framing.surplus;
    this.#state = 'complete';
    this.#landed = true;
    this.#ring.seal();
    this.#finish();
    this.#connection.leave();
    if (reusable) this.#options.release(this.#connection);
    else this.#connection.destroy();
    this.#deliver();
  }

  /** Hands the reader what there is. */
  readonly #deliver = (): void => {
    this.#delivery = false;
    const reader = this.#reader;
    if (reader === undefined) return;
    const region = this.#ring.take();
    if (region === undefined && this.#state === 'body') return;
    this.#reader = undefined;
    if (region === undefined && this.#error !== undefined) reader.reject(this.#error);
    else reader.resolve(region);
  };

  /**
   * TLS comes in records of 16 KiB, several in one turn of the event loop: a reader that was served at the first would
   * make sixteen times the calls. The end of the turn costs it microseconds.
   */
  #deliverSoon(): void {
    if (this.#delivery) return;
    this.#delivery = true;
    setImmediate(this.#deliver);
  }

  /** One timer watches a whole body; it is armed anew when it goes off, not at every read. */
  readonly #watch = (): void => {
    this.#timer = undefined;
    if (this.#reader === undefined || this.#state !== 'body') return;
    const left = this.#waitingSince + this.#options.bodyIdleTimeout - performance.now();
    if (left > 1) this.#timer = setTimeout(this.#watch, left);
    // Timers go off before sockets are read: after a pause of this process, the bytes may be here already.
    else setImmediate(this.#expire, this.#reader);
  };

  readonly #expire = (reader: PromiseWithResolvers<Buffer | undefined>): void => {
    if (this.#state !== 'body' || this.#delivery) return;
    const { authority, bodyIdleTimeout: limit } = this.#options;
    if (this.#reader === reader) {
      this.#fail(new HttpError('idle', `${authority} stopped sending: no byte of the body within ${limit} ms`));
    } else if (this.#reader !== undefined) {
      this.#timer ??= setTimeout(this.#watch, limit);
    }
  };

  readonly #abort = (): void => {
    this.#giveUp(abortedError(this.#options.authority, this.#options.signal?.reason));
  };

  #refuse(error: unknown): void {
    const { authority } = this.#options;
    const reason = error instanceof Error ? error.message : String(error);
    this.#fail(new HttpError('protocol', `${authority} sent what is not HTTP/1.1: ${reason}`, { cause: error }));
  }

  /** The exchange broke: the reader gets what was received, then the error. */
  #fail(error: Error): void {
    if (this.#state === 'complete' || this.#state === 'failed') return;
    this.#state = 'failed';
    this.#error = error;
    this.#finish();
    // Without effect once the head was given, or the piece was taken.
    this.#writing?.reject(error);
    this.#answer.reject(error);
    this.#connection.destroy();
    this.#deliver();
  }

  /** The caller wants no more: whatever was received is dropped. */
  #giveUp(error: Error): void {
    if (this.#abandoned) return;
    this.#abandoned = true;
    const reader = this.#reader;
    this.#reader = undefined;
    this.#fail(error);
    this.#state = 'failed';
    this.#error = error;
    if (this.#landed) this.#ring.clear();
    reader?.reject(error);
  }

  #finish(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    // Nobody takes the rest of it.
    this.#outgoing?.source.cancel();
    this.#options.signal?.removeEventListener('abort', this.#abort);
  }
}
