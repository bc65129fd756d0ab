import type { ClientRequest, IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import type { Exchange } from './exchange.ts';
import { ForwardRefusal, refuseForward, toForwardRefusal } from './forward-refusal.ts';
import { type ForwardTarget, formatAuthority } from './forward-target.ts';
import { endToEndHeaders } from './hop-by-hop.ts';
import { request as httpRequest } from './node-http.ts';

export interface StreamOptions {
  readonly target: ForwardTarget;
  /** Speak TLS to it. */
  readonly secure: boolean;
  /** Finds a place for it. @throws {OverloadError} */
  readonly admit: () => Promise<void>;
  /** Opens a connection for this one exchange. */
  readonly reach: (signal: AbortSignal) => Promise<Socket>;
  /** How this server calls itself in `Via`. */
  readonly pseudonym: string;
  /** Milliseconds from the end of the request to the head of the answer. */
  readonly responseHeaderTimeout: number;
  /** Milliseconds without a byte that end a body. */
  readonly bodyIdleTimeout: number;
}

const MAX_HEAD_BYTES = 32 * 1024;

/**
 * Asks the real host what a client asked, and passes on what it says: any method but TRACE, bodies both ways as they come,
 * headers as they were but for those of the connection.
 *
 * A connection serves one exchange and is closed: between two clients nothing is shared on which they could disagree about
 * where a message ends (CVE-2026-71324). The path stays byte for byte what it was.
 *
 * Resolves when the answer is over, whatever became of it; answers of its own are plain text.
 */
export async function streamToHost(exchange: Exchange, options: StreamOptions): Promise<void> {
  const { request, response } = exchange;
  exchange.upstream = formatAuthority(options.target);
  try {
    // TRACE gives back the request, credentials and all.
    if (request.method === 'TRACE') throw new ForwardRefusal(405, 'TRACE is not forwarded');
    await options.admit();
    const socket = await options.reach(exchange.signal);
    if (exchange.signal.aborted) return void socket.destroy();
    await new Passage(exchange, options).run(socket);
  } catch (error) {
    if (exchange.signal.aborted || response.destroyed) return void response.destroy();
    const refusal = toForwardRefusal(error);
    if (refusal === undefined) throw error;
    refuseForward(exchange, refusal);
  }
}

/** One exchange, from our request to the last byte of the answer. */
class Passage {
  readonly #exchange: Exchange;
  readonly #options: StreamOptions;
  readonly #over = Promise.withResolvers<void>();
  readonly #authority: string;
  #movedAt = performance.now();
  #timer: NodeJS.Timeout | undefined;
  #outgoing: ClientRequest | undefined;
  #answering = false;

  constructor(exchange: Exchange, options: StreamOptions) {
    this.#exchange = exchange;
    this.#options = options;
    this.#authority = formatAuthority(options.target);
  }

  run(socket: Socket): Promise<void> {
    const { request, response } = this.#exchange;
    const outgoing = httpRequest({
      method: request.method,
      path: request.url,
      headers: this.#requestHeaders(),
      setHost: false,
      createConnection: () => socket,
      maxHeaderSize: MAX_HEAD_BYTES,
      insecureHTTPParser: false,
    });
    this.#outgoing = outgoing;
    outgoing.on('response', (incoming) => this.#answer(incoming));
    outgoing.on('error', (error) => this.#fail(error));
    // Nothing was offered that could be switched to.
    outgoing.on('upgrade', (_incoming, switched) => switched.destroy());
    outgoing.on('close', () => this.#fail(new Error('it closed the connection')));
    response.once('close', () => {
      outgoing.destroy();
      this.#over.resolve();
    });
    if (response.destroyed) outgoing.destroy();
    this.#send(request, outgoing);
    this.#timer = setTimeout(this.#look, this.#limit);
    return this.#over.promise.finally(() => clearTimeout(this.#timer));
  }

  #requestHeaders(): string[] {
    const { request } = this.#exchange;
    const { target, secure, pseudonym } = this.#options;
    const headers = endToEndHeaders(request.rawHeaders, ['host', 'expect']);
    const authority = formatAuthority(target, secure ? 443 : 80);
    const own = ['Host', authority, 'Via', `${request.httpVersion} ${pseudonym}`, 'Connection', 'close'];
    return [...headers, ...own, ...(isChunked(request) ? ['Transfer-Encoding', 'chunked'] : [])];
  }

  #send(request: IncomingMessage, outgoing: ClientRequest): void {
    if (!isChunked(request) && Number(request.headers['content-length'] ?? 0) === 0) return void outgoing.end();
    if (/^100-continue$/i.test(request.headers.expect ?? '')) this.#exchange.response.writeContinue();
    request.on('data', (chunk: Buffer) => {
      this.#exchange.received += chunk.length;
      this.#movedAt = performance.now();
    });
    request.pipe(outgoing);
  }

  #answer(incoming: IncomingMessage): void {
    const exchange = this.#exchange;
    const { response } = exchange;
    const status = incoming.statusCode ?? 502;
    // Asked by a server for a proxy's credential, a client would send it ours.
    if (status === 407) {
      incoming.destroy();
      return this.#refuse(new ForwardRefusal(502, `${this.#authority} answered 407, which only a forward proxy may`));
    }
    this.#answering = true;
    this.#movedAt = performance.now();
    const headers = endToEndHeaders(incoming.rawHeaders);
    headers.push('Via', `${incoming.httpVersion} ${this.#options.pseudonym}`, 'X-Request-Id', exchange.id);
    response.writeHead(status, headers);
    incoming.on('data', (chunk: Buffer) => {
      exchange.bytes += chunk.length;
      this.#movedAt = performance.now();
    });
    // A body that breaks off reaches the client broken off: cut, never ended.
    incoming.on('error', (error) => this.#fail(error));
    incoming.pipe(response);
  }

  /** How long nothing may move: for an answer to begin, or to go on. */
  get #limit(): number {
    return this.#answering ? this.#options.bodyIdleTimeout : this.#options.responseHeaderTimeout;
  }

  readonly #look = (): void => {
    // A client that does not read is the front door's to judge.
    const waitsForClient = this.#exchange.response.writableNeedDrain;
    const left = waitsForClient ? this.#limit : this.#movedAt + this.#limit - performance.now();
    if (left > 1) {
      this.#timer = setTimeout(this.#look, left);
      return;
    }
    const what = this.#answering ? 'stopped sending' : 'did not answer in time';
    this.#refuse(new ForwardRefusal(504, `${this.#authority} ${what}: nothing came within ${this.#limit} ms`));
  };

  #fail(error: Error): void {
    const { response } = this.#exchange;
    if (response.writableEnded || response.destroyed) return;
    const { code } = error as NodeJS.ErrnoException;
    const reason = code?.startsWith('HPE_') === true ? 'sent what is not HTTP/1.1' : 'broke off';
    this.#refuse(new ForwardRefusal(502, `${this.#authority} ${reason} (${code ?? error.message})`));
  }

  #refuse(refusal: ForwardRefusal): void {
    clearTimeout(this.#timer);
    const { request, response } = this.#exchange;
    if (this.#outgoing !== undefined) request.unpipe(this.#outgoing);
    if (!response.writableEnded) refuseForward(this.#exchange, refusal);
    this.#outgoing?.destroy();
  }
}

function isChunked({ headers }: IncomingMessage): boolean {
  return headers['transfer-encoding'] !== undefined;
}
