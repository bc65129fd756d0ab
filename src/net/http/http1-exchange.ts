import type { ByteSource } from '../../lib/index.ts';
import { abortedError, httpErrorOf } from '../error.ts';
import { HeadReader, parseResponseHead, type ResponseHead } from '../head/index.ts';
import { type HttpClientOptions, HttpError, type RequestBody, type ResponseMeter } from '../http-types.ts';
import { type BodyFraming, framingFor } from './body-framing.ts';
import { BufferPool, ByteRing } from './byte-ring.ts';
import type { Connection, ConnectionUser } from './connection.ts';

export interface ExchangeOptions
  extends Required<Pick<HttpClientOptions, 'responseHeaderTimeout' | 'bodyIdleTimeout'>> {
  readonly method: string;
  /** Host and port, for messages. */
  readonly authority: string;
  readonly signal: AbortSignal | undefined;
  /** The request says `Expect: 100-continue`: its body waits for the server's word. @default false */
  readonly expectsContinue?: boolean;
  readonly meter?: ResponseMeter | undefined;
  /** Returns the reusable connection to its pool. */
  readonly release: (connection: Connection) => void;
}

/** Responses 100, 102 and 103 before the final one; with more of them a server could delay us for ever. */
const MAX_INTERIM = 5;

/** Milliseconds that a body waits for `100 Continue`: servers that do not know it must get the body too (RFC 9110 §10.1.1). */
const CONTINUE_WITHIN = 1000;

const LAST_CHUNK = Buffer.from('0\r\n\r\n');

/**
 * 8 MiB kept for the process, and as much in large buffers: a hundred bodies in turn allocate no more than one. The large ones are enough
 * for four bodies that come as fast as they can be hashed; with more of them the processor has enough to do.
 */
const buffers = new BufferPool(32, { large: 16 });

/**
 * One request and its response on a connection, with the response's body as a pulled source.
 *
 * ```
 *  head ──final head──▶ body ──last byte──▶ complete      (the connection is free; the reader empties the ring)
 *    │                    │
 *    └──error, abort──────┴──▶ failed                     (the connection is destroyed; buffered bytes are still read,
 *                                                          unless the reader cancelled)
 * ```
 */
export class Http1Exchange implements ConnectionUser, ByteSource {
  readonly #connection: Connection;
  readonly #options: ExchangeOptions;
  readonly #heads = new HeadReader();
  #interim = 0;
  #isUnanswered = true;
  #head: ResponseHead | undefined;
  #response = Promise.withResolvers<ResponseHead>();
  #framing: BodyFraming | undefined;
  readonly #ring = new ByteRing(buffers);
  #state: 'head' | 'body' | 'complete' | 'failed' = 'head';
  #error: Error | undefined;
  #reader: PromiseWithResolvers<Buffer | undefined> | undefined;
  #waitingSince = 0;
  #isDeliveryScheduled = false;
  /** No byte can land in the ring any more: the connection serves another exchange, or its socket is closed. */
  #isRingFinal = false;
  /** The reader cancelled: the received bytes are dropped. */
  #abandoned = false;
  #timer: NodeJS.Timeout | undefined;
  /** The request's body, while it is being sent. */
  #outgoing: RequestBody | undefined;
  #writing: PromiseWithResolvers<void> | undefined;
  /** Resolves when the body may be sent, or will not be. */
  readonly #continued = Promise.withResolvers<void>();

  constructor(connection: Connection, options: ExchangeOptions) {
    this.#connection = connection;
    this.#options = options;
  }

  /** True while no byte of a response has arrived. */
  get isUnanswered(): boolean {
    return this.#isUnanswered;
  }

  /**
   * Sends the request and resolves with the head of the response, whose body is then to be read or cancelled.
   *
   * @param body the streamed body of the request. The response's deadline counts from the last chunk sent.
   */
  send(request: Buffer, body?: RequestBody): Promise<ResponseHead> {
    const { authority, responseHeaderTimeout: limit, signal } = this.#options;
    if (signal?.aborted) {
      body?.source.cancel();
      this.#abort();
    } else {
      this.#timer = setTimeout(() => {
        const message = `${authority} did not answer in time: no response head within ${limit} ms`;
        this.#fail(new HttpError('timeout', message));
      }, limit);
      signal?.addEventListener('abort', this.#abort, { once: true });
      this.#connection.begin(this, request);
      if (body !== undefined) void this.#sendBody(body);
    }
    return this.#response.promise;
  }

  /** Never rejects: a body that cannot be sent fails the exchange. */
  async #sendBody(body: RequestBody): Promise<void> {
    const { source, length } = body;
    this.#outgoing = body;
    let sent = 0;
    try {
      if (this.#options.expectsContinue === true) await this.#permission();
      for (;;) {
        if (!this.#takesBody) return source.cancel();
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
      // A response that has begun is still read, while the connection lasts.
      if (this.#takesBody) this.#fail(new HttpError('aborted', message, { cause: error }));
    }
  }

  /** Resolves at `100 Continue`, at a response, and after a second without either. */
  async #permission(): Promise<void> {
    const timer = setTimeout(this.#continued.resolve, CONTINUE_WITHIN);
    await this.#continued.promise;
    clearTimeout(timer);
  }

  /** False where the server needs no more of the body: it has refused the request, or the exchange is over. */
  get #takesBody(): boolean {
    return this.#state === 'head' || (this.#state === 'body' && (this.#head?.status ?? 0) < 300);
  }

  #write(bytes: Buffer, chunked: boolean): Promise<void> {
    const writing = Promise.withResolvers<void>();
    this.#writing = writing;
    const written = (): void => {
      if (this.#state === 'head') this.#timer?.refresh();
      // A server that responds early may wait for the rest of the body: while that is sent, the response is not idle.
      else this.#waitingSince = performance.now();
      writing.resolve();
    };
    this.#connection.write(bytes, { chunked, written });
    return writing.promise;
  }

  /** See ByteSource. Bytes received before an error are returned before it rejects. */
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
    if (ring.readable) this.#scheduleDelivery();
    else this.#timer ??= setTimeout(this.#watch, this.#options.bodyIdleTimeout);
    return this.#reader.promise;
  }

  cancel(reason?: Error): void {
    this.#abandon(reason ?? abortedError(this.#options.authority));
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
        this.#isUnanswered = false;
        this.#headBytes(piece.subarray(0, count));
      } else if (this.#state === 'body' && this.#framing !== undefined) {
        const payload = this.#framing.accept(piece, count);
        this.#ring.advance(payload);
        this.#count(payload);
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
    this.#isRingFinal = true;
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
      if (parsed.status === 101) throw new HttpError('protocol', 'it switched to another protocol, unrequested');
      if (parsed.status >= 200) return this.#begin(parsed, rest);
      if (parsed.status === 100) this.#continued.resolve();
      if (++this.#interim > MAX_INTERIM) throw new HttpError('protocol', `more than ${MAX_INTERIM} interim responses`);
    }
  }

  /** The response begins. `rest` is the start of its body, in the landing buffer, so it is copied. */
  #begin(head: ResponseHead, rest: Buffer): void {
    this.#head = head;
    this.#state = 'body';
    // An earlier attempt of the request may have ended without a response.
    if (this.#options.meter !== undefined) this.#options.meter.isOver = false;
    this.#continued.resolve();
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const framing = framingFor(head.body);
    this.#framing = framing;
    // Resolved before the first bytes of the body: an error in them is the body's, not the head's.
    this.#response.resolve(head);
    if (rest.length > 0) {
      const payload = framing.accept(rest, rest.length);
      const room = this.#ring.room();
      if (room !== undefined) this.#ring.advance(rest.copy(room, 0, 0, payload));
      this.#count(payload);
    }
  }

  #count(payload: number): void {
    if (this.#options.meter !== undefined) this.#options.meter.bytes += payload;
  }

  /** After each read: completes the body, serves the reader, and returns whether the socket may continue. */
  #settle(): boolean {
    if (this.#state !== 'body' || this.#framing === undefined) return true;
    if (this.#framing.done) {
      this.#complete();
      return true;
    }
    if (this.#reader !== undefined && this.#ring.readable) {
      if (this.#ring.ripe) this.#deliver();
      else this.#scheduleDelivery();
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
    this.#isRingFinal = true;
    this.#ring.seal();
    this.#finish();
    this.#connection.detach();
    if (reusable) this.#options.release(this.#connection);
    else this.#connection.destroy();
    this.#deliver();
  }

  /** Gives the reader the received bytes, or the error. */
  readonly #deliver = (): void => {
    this.#isDeliveryScheduled = false;
    const reader = this.#reader;
    if (reader === undefined) return;
    const region = this.#ring.take();
    if (region === undefined && this.#state === 'body') return;
    const { meter } = this.#options;
    if (meter?.waitedMs !== undefined) meter.waitedMs += performance.now() - this.#waitingSince;
    this.#reader = undefined;
    if (region === undefined && this.#error !== undefined) reader.reject(this.#error);
    else reader.resolve(region);
  };

  /**
   * Waits for the end of the event loop's turn, which costs microseconds: TLS delivers several records of 16 KiB in one turn, and
   * a reader served after each of them would make sixteen times the calls.
   */
  #scheduleDelivery(): void {
    if (this.#isDeliveryScheduled) return;
    this.#isDeliveryScheduled = true;
    setImmediate(this.#deliver);
  }

  /** One timer watches a whole body; it is set again when it fires, not at every read. */
  readonly #watch = (): void => {
    this.#timer = undefined;
    if (this.#reader === undefined || this.#state !== 'body') return;
    const left = this.#waitingSince + this.#options.bodyIdleTimeout - performance.now();
    if (left > 1) this.#timer = setTimeout(this.#watch, left);
    // Timers run before sockets are read: after a pause of this process, the bytes may have arrived already.
    else setImmediate(this.#expire, this.#reader);
  };

  readonly #expire = (reader: PromiseWithResolvers<Buffer | undefined>): void => {
    if (this.#state !== 'body' || this.#isDeliveryScheduled) return;
    const { authority, bodyIdleTimeout: limit } = this.#options;
    if (this.#reader === reader) {
      this.#fail(new HttpError('idle', `${authority} stopped sending: no byte of the body within ${limit} ms`));
    } else if (this.#reader !== undefined) {
      this.#timer ??= setTimeout(this.#watch, limit);
    }
  };

  readonly #abort = (): void => {
    this.#abandon(abortedError(this.#options.authority, this.#options.signal?.reason));
  };

  #refuse(error: unknown): void {
    const { authority } = this.#options;
    const reason = error instanceof Error ? error.message : String(error);
    const remedy = error instanceof HttpError ? error.remedy : undefined;
    this.#fail(new HttpError('protocol', `${authority} sent invalid HTTP/1.1: ${reason}`, { cause: error, remedy }));
  }

  /** The exchange failed: the reader gets the received bytes, then the error. */
  #fail(error: Error): void {
    if (this.#state === 'complete' || this.#state === 'failed') return;
    this.#state = 'failed';
    this.#error = error;
    this.#finish();
    // Without effect once the head has been returned, or the chunk written.
    this.#writing?.reject(error);
    this.#response.reject(error);
    this.#connection.destroy();
    this.#deliver();
  }

  /** The caller cancelled: received bytes are dropped. */
  #abandon(error: Error): void {
    if (this.#abandoned) return;
    this.#abandoned = true;
    const reader = this.#reader;
    this.#reader = undefined;
    this.#fail(error);
    this.#state = 'failed';
    this.#error = error;
    if (this.#isRingFinal) this.#ring.clear();
    reader?.reject(error);
  }

  #finish(): void {
    if (this.#options.meter !== undefined) this.#options.meter.isOver = true;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#continued.resolve();
    // The server takes no more of the request's body.
    this.#outgoing?.source.cancel();
    this.#options.signal?.removeEventListener('abort', this.#abort);
  }
}
