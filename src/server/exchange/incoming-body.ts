import type { IncomingMessage } from 'node:http';
import type { ByteSource } from '../../lib/index.ts';
import { OciError } from '../../oci/index.ts';
import type { RequestContext } from './context.ts';

interface BodyOptions {
  /**
   * Whether the reader is done with a chunk when it reads the next one. Its memory is then free at once: a body of a GiB leaves no GiB
   * to the garbage collector, which took as much of the processor as hashing. @default false
   */
  readonly isCopied?: boolean;
}

/**
 * The body of a client's request; undefined where it has none. `length` is undefined where it comes in chunks.
 *
 * @throws {OciError} 501 for a transfer coding besides `chunked`: the bytes would be those of the coding (RFC 9112, section 6.1)
 */
export function bodyOf(
  context: RequestContext,
  { isCopied = false }: BodyOptions = {},
): { readonly length: number | undefined; readonly source: ByteSource } | undefined {
  const { request } = context;
  if (!context.hasBody) return undefined;
  const { 'content-length': length, 'transfer-encoding': encoding } = request.headers;
  if (encoding !== undefined && encoding.trim().toLowerCase() !== 'chunked') throw codingRefused(encoding);
  return { length: encoding === undefined ? Number(length) : undefined, source: new IncomingBody(context, isCopied) };
}

function codingRefused(encoding: string): OciError {
  const found = JSON.stringify(encoding.slice(0, 100));
  return new OciError(
    'UNSUPPORTED',
    `the Transfer-Encoding ${found} is not read here; send the body as it is, or chunked`,
    {
      status: 501,
      headers: { connection: 'close' },
    },
  );
}

/** Bytes that wait for the reader before no more are read from the socket. */
const READ_AHEAD = 128 * 1024;

/**
 * A body that is pulled: bytes that are not read stay in the socket.
 *
 * Chunks are taken as they come. A stream that is asked by `read` joins what has come meanwhile, which copies every byte once more.
 */
class IncomingBody implements ByteSource {
  readonly #context: RequestContext;
  readonly #request: IncomingMessage;
  readonly #chunks: Buffer[] = [];
  /** Bytes of the chunks. */
  #ahead = 0;
  #waiting: PromiseWithResolvers<Buffer | undefined> | undefined;
  #error: Error | undefined;
  #isOver = false;
  #isStarted = false;
  /** The client waits for 100 before it sends: curl a second where the body is large, git longer. */
  #expectsContinue: boolean;
  readonly #isCopied: boolean;
  /** The chunk that was given last, where the reader copies. */
  #given: Buffer | undefined;
  readonly #onData = (chunk: Buffer): void => {
    this.#chunks.push(chunk);
    this.#ahead += chunk.length;
    this.#serve();
    if (this.#ahead >= READ_AHEAD) this.#request.pause();
  };

  constructor(context: RequestContext, isCopied: boolean) {
    this.#context = context;
    this.#isCopied = isCopied;
    const { request } = context;
    this.#request = request;
    this.#expectsContinue = /^100-continue$/i.test(request.headers.expect ?? '');
    request.on('end', () => {
      this.#isOver = true;
      this.#serve();
    });
    request.on('error', (error) => this.#fail(error));
    request.on('close', () => this.#fail(new Error('the client left')));
    // Its events have passed already.
    if (request.destroyed) this.#fail(new Error('the client left'));
  }

  read(): Promise<Buffer | undefined> {
    // Not before the first read: only then is there a server that takes the body.
    if (this.#expectsContinue) this.#context.response.writeContinue();
    this.#expectsContinue = false;
    this.#free();
    this.#waiting = Promise.withResolvers();
    const { promise } = this.#waiting;
    this.#serve();
    if (!this.#isStarted) {
      this.#isStarted = true;
      this.#request.on('data', this.#onData);
    }
    if (this.#ahead === 0 && this.#request.isPaused()) this.#request.resume();
    return promise;
  }

  /** Drops the rest as it comes. */
  cancel(): void {
    this.#fail(new Error('the body was cancelled'));
    this.#request.off('data', this.#onData);
    this.#request.resume();
  }

  #serve(): void {
    const waiting = this.#waiting;
    if (waiting === undefined) return;
    const chunk = this.#error === undefined ? this.#chunks.shift() : undefined;
    if (chunk === undefined && !this.#isOver && this.#error === undefined) return;
    this.#waiting = undefined;
    if (chunk !== undefined) {
      this.#ahead -= chunk.length;
      this.#context.received += chunk.length;
      if (this.#isCopied) this.#given = chunk;
      waiting.resolve(chunk);
    } else if (this.#error === undefined) {
      waiting.resolve(undefined);
    } else {
      waiting.reject(this.#error);
    }
  }

  #free(): void {
    const chunk = this.#given;
    this.#given = undefined;
    // What is a part of a larger buffer is shared with other chunks.
    if (chunk?.buffer instanceof ArrayBuffer && chunk.length === chunk.buffer.byteLength) chunk.buffer.transfer(0);
  }

  #fail(error: Error): void {
    if (this.#isOver) return;
    this.#error ??= error;
    this.#chunks.length = 0;
    this.#ahead = 0;
    this.#serve();
  }
}

interface DiscardOptions {
  /** Bytes that are dropped at most. @default 16 MiB */
  readonly limit?: number;
  /** Milliseconds that this may take. @default 2000 */
  readonly deadline?: number;
  /** Milliseconds that the client may send nothing. @default 200 */
  readonly quiet?: number;
}

/**
 * Drops what is left of the body of a request that is refused. Where the connection ends with bytes unread, the system resets it, and a
 * client that still sends may never see its answer (RFC 9112, section 9.6). Resolves when the body has ended, or at a bound: then the
 * client sees what it sees.
 */
export function discardBody(
  { request, hasBody }: RequestContext,
  { limit = 16 * 1024 * 1024, deadline = 2000, quiet = 200 }: DiscardOptions = {},
): Promise<void> {
  // A client that waits for 100 sends nothing.
  if (!hasBody || request.readableEnded || request.destroyed || request.headers.expect !== undefined)
    return Promise.resolve();
  const length = Number(request.headers['content-length'] ?? 0);
  if (length > limit) return Promise.resolve();
  return new Promise((resolve) => {
    let dropped = 0;
    const timer = setTimeout(settle, deadline);
    const idle = setTimeout(settle, quiet);
    const onData = (chunk: Buffer): void => {
      dropped += chunk.length;
      idle.refresh();
      if (dropped > limit) settle();
    };
    function settle(): void {
      clearTimeout(timer);
      clearTimeout(idle);
      request.off('data', onData).off('end', settle).off('close', settle);
      resolve();
    }
    // Its reader is done.
    request.removeAllListeners('data');
    request.on('data', onData).on('end', settle).on('close', settle);
    request.resume();
  });
}
