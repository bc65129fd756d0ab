import type { BlobReader, ByteSource } from '../../lib/index.ts';
import { OciError } from '../../oci/index.ts';
import { BodyMemory } from './body-memory.ts';
import { ClientLeftError, type RequestContext } from './context.ts';
import { DirectBody } from './direct-body.ts';

// Every answer of the registry and of mirror routes is written here, and nowhere else. So their common headers, and the rule
// that no complete body is ever wrong, are in one place.

const NOTHING = Buffer.alloc(0);

/** Header names are lower case. */
export type Headers = Readonly<Record<string, string | number | string[]>>;

/** Bytes up to which a body is held until it is whole: a wrong one then becomes an error that the client can read. */
const HELD_WHOLE = 64 * 1024;

/**
 * Bytes up to which a body goes out in one write with its head, as Node does where both are text. A buffer would be a second
 * write, and cost a third of the requests that a core can answer.
 */
const IN_ONE_WRITE = 16 * 1024;

/** Headers that every answer has. */
function common(context: RequestContext): Record<string, string | number> {
  const headers: Record<string, string | number> = { 'x-request-id': context.id };
  if (context.mirror === undefined) headers['docker-distribution-api-version'] = 'registry/2.0';
  if (context.ns !== undefined) headers['oci-namespace'] = context.ns;
  if (context.cache !== undefined) headers['x-cache'] = context.cache;
  return headers;
}

/** Answers with a body that is in memory; a HEAD gets the same headers without it. */
export function replyBytes(context: RequestContext, status: number, headers: Headers, body: Buffer | string): void {
  const { response } = context;
  const length = typeof body === 'string' ? Buffer.byteLength(body) : body.length;
  context.answeredAt = performance.now();
  response.writeHead(status, { ...common(context), ...headers, 'content-length': length });
  if (context.isHead) {
    response.end();
  } else {
    context.bytes = length;
    context.size = length;
    if (typeof body === 'string' || length > IN_ONE_WRITE) response.end(body);
    // Latin-1 maps each byte to one character and back, so the bytes stay what they are.
    else response.end(body.toString('latin1'), 'latin1');
  }
}

/** Answers with headers alone: a HEAD, a redirect, 304. */
export function replyEmpty(context: RequestContext, status: number, headers: Headers): void {
  context.answeredAt = performance.now();
  context.response.writeHead(status, { ...common(context), ...headers });
  context.response.end();
}

/** Answers an error in the registry protocol's form; where the answer has begun already, the connection is cut. */
export function replyError(context: RequestContext, error: OciError): void {
  const { response } = context;
  context.error = error.message;
  if (response.headersSent) {
    response.destroy();
    return;
  }
  const headers: Record<string, string | number> = { 'content-type': 'application/json', ...error.headers };
  if (error.retryAfter !== undefined) headers['retry-after'] = Math.max(1, Math.ceil(error.retryAfter));
  replyBytes(context, error.status, headers, error.toBody());
}

/**
 * Answers with the bytes of a reader, as fast as the client takes them, and closes the reader.
 *
 * Where the reader fails, the connection is **cut**: with a `Content-Length` the client sees too few bytes, without one no
 * last chunk. Either way it knows that it does not have the blob. Rejects where the reader fails before the first byte:
 * nothing was sent then, and the caller can still answer the error.
 *
 * @param length bytes that will come; undefined: sent in chunks
 */
export async function replyStream(
  context: RequestContext,
  status: number,
  headers: Headers,
  body: { readonly reader: BlobReader; readonly length: number | undefined },
): Promise<void> {
  const { response } = context;
  const { reader, length } = body;
  const outlet = new Outlet(context);
  const direct = DirectBody.of(context, reader, length);
  let memory: BodyMemory | undefined;
  /** Sends the head with the first bytes, not before: a failure until then can still be answered. */
  const begin = (): void => {
    if (response.headersSent) return;
    context.answeredAt = performance.now();
    context.size = length;
    response.writeHead(status, { ...common(context), ...headers, ...lengthOf(length) });
  };
  try {
    context.signal.throwIfAborted();
    context.signal.addEventListener('abort', () => reader.close(), { once: true });
    let sent = 0;
    for (;;) {
      const piece = direct?.piece();
      if (direct !== undefined && piece !== undefined) {
        begin();
        await outlet.drained();
        direct.join(true);
        outlet.write(piece);
        await outlet.drained();
        await direct.letOthers();
        sent += piece.length + direct.send();
        if (sent === length) break;
        continue;
      }
      direct?.join(false);
      memory ??= new BodyMemory(reader, outlet);
      const target = await memory.next();
      const count = sent === 0 ? await readFirst(reader, target, length) : await reader.read(target);
      begin();
      await outlet.drained();
      if (count === 0) break;
      sent += count;
      outlet.write(count === target.length ? target : target.subarray(0, count));
      await memory.handedOver();
    }
    if (length !== undefined && sent !== length) throw endedEarly(sent, length);
    direct?.join(false);
    response.end();
  } catch (error) {
    cut(context, error);
  } finally {
    reader.close();
    memory?.release();
  }
}

/**
 * Passes on the answer of another server without copying it: a piece is read when the client has taken the one before. Where
 * the source fails, the connection is cut. Never rejects once the head was sent.
 *
 * @param headers a list (name and value alternate) is sent unchanged, in its order and spelling
 */
export async function replyThrough(
  context: RequestContext,
  status: number,
  headers: Headers | readonly string[],
  body: { readonly source: ByteSource; readonly length: number | undefined },
): Promise<void> {
  const { response } = context;
  const { source, length } = body;
  const outlet = new Outlet(context);
  try {
    context.signal.throwIfAborted();
    context.signal.addEventListener('abort', () => source.cancel(), { once: true });
    context.answeredAt = performance.now();
    context.size = length;
    response.writeHead(
      status,
      isExact(headers) ? [...headers] : { ...common(context), ...headers, ...lengthOf(length) },
    );
    // The body may be long in coming. Not by flushHeaders, which would write latin1 headers in UTF-8.
    response.write(NOTHING);
    let sent = 0;
    for (let piece = await source.read(); piece !== undefined; piece = await source.read()) {
      if (piece.length === 0) continue;
      sent += piece.length;
      outlet.write(piece);
      await outlet.drained();
    }
    if (length !== undefined && sent !== length) throw endedEarly(sent, length);
    response.end();
  } catch (error) {
    source.cancel();
    cut(context, error);
  }
}

/** Ends a failed answer: rethrows the error where the caller can still answer it, else cuts the connection. */
function cut(context: RequestContext, error: unknown): void {
  const left = error instanceof ClientLeftError || context.signal.aborted;
  if (!left && !context.response.headersSent) throw error;
  if (!left) context.error = (error as Error).message;
  context.response.destroy();
}

function endedEarly(count: number, length: number): Error {
  return new Error(`The body ended after ${count} of ${length} bytes`);
}

function isExact(headers: Headers | readonly string[]): headers is readonly string[] {
  return Array.isArray(headers);
}

function lengthOf(length: number | undefined): Headers {
  return length === undefined ? {} : { 'content-length': length };
}

/** Reads the first piece of a body; all of a small one. */
async function readFirst(reader: BlobReader, target: Buffer, length: number | undefined): Promise<number> {
  let filled = await reader.read(target);
  if (length === undefined || length > Math.min(target.length, HELD_WHOLE)) return filled;
  while (filled < length) {
    const count = await reader.read(target.subarray(filled));
    if (count === 0) throw endedEarly(filled, length);
    filled += count;
  }
  return filled;
}

/** Writes one piece at a time and reports when the socket has taken it. */
class Outlet {
  readonly #context: RequestContext;
  #pending: PromiseWithResolvers<void> | undefined;
  #pause: NodeJS.Timeout | undefined;
  /** Whether the socket has taken every piece. */
  isTaken = true;

  constructor(context: RequestContext) {
    this.#context = context;
    // A destroyed socket does not call the callbacks of its writes.
    context.response.once('close', () => {
      clearTimeout(this.#pause);
      this.#pending?.reject(new ClientLeftError());
    });
  }

  /** Resolves when the socket has taken the previous piece; rejects when the client has left. */
  drained(): Promise<void> {
    return this.#pending?.promise ?? Promise.resolve();
  }

  write(piece: Buffer): void {
    const context = this.#context;
    const pending = Promise.withResolvers<void>();
    pending.promise.catch(() => {});
    this.#pending = pending;
    this.isTaken = false;
    context.response.write(piece, (error) => {
      if (error !== undefined && error !== null) return pending.reject(new ClientLeftError());
      context.bytes += piece.length;
      const pause = context.throttle?.(piece.length) ?? 0;
      // A throttled client is treated like one that reads slowly.
      if (pause > 0) this.#pause = setTimeout(() => this.#taken(pending), pause);
      else this.#taken(pending);
    });
    if (context.response.destroyed) pending.reject(new ClientLeftError());
  }

  #taken(pending: PromiseWithResolvers<void>): void {
    this.isTaken = true;
    pending.resolve();
  }
}
