import type { OnReadOpts } from 'node:net';
import type { ByteSource } from '../../lib/index.ts';
import type { Dialled } from '../dial/index.ts';
import { exactRequestBytes } from '../head/index.ts';
import type { ExactRequest } from '../http-types.ts';
import { Connection } from './connection.ts';
import { Http1Exchange } from './http1-exchange.ts';

export interface AskOnceOptions {
  /** Host and port, for messages. */
  readonly authority: string;
  /** Milliseconds from the last piece of the request to the head of the answer. */
  readonly responseHeaderTimeout: number;
  /** Milliseconds in which nothing moves that end a body. */
  readonly bodyIdleTimeout: number;
  /** Opens the connection, which reads into `onread`. What it throws is thrown on. */
  readonly open: (reads: Reads) => Promise<Dialled>;
}

export interface Reads {
  readonly onread: OnReadOpts;
  readonly signal: AbortSignal | undefined;
}

/** An answer, to be passed on as it came. */
export interface ExactAnswer {
  readonly status: number;
  readonly httpVersion: '1.0' | '1.1';
  /** Name and value alternate, in the order and spelling in which they came. */
  readonly rawHeaders: readonly string[];
  /** Lower-case names; repeated headers joined by `, `. A null-prototype object. */
  readonly headers: Readonly<Record<string, string>>;
  /** From `Content-Length`, 0 where there is no body; undefined where the body ends otherwise. */
  readonly length: number | undefined;
  /** To be read to its end or cancelled. Rejects with HttpError, as that of {@link HttpStream}. */
  readonly body: ByteSource;
}

/**
 * Asks one thing on a connection of its own, which is closed with the answer: nothing is kept on which two requests could
 * be mistaken for each other. Reads and framing are those of every other request.
 *
 * @throws {TypeError} for what could not be sent as it is, or whose headers say another length than the body has
 * @throws {HttpError}
 */
export async function askOnce(request: ExactRequest, options: AskOnceOptions): Promise<ExactAnswer> {
  const { method, body, signal } = request;
  const { authority, responseHeaderTimeout, bodyIdleTimeout, open } = options;
  let exchange: Http1Exchange;
  let bytes: Buffer;
  try {
    bytes = exactRequestBytes(request);
    const connection = await Connection.open<Pick<Reads, 'signal'>>(open, { signal });
    const release = (unused: Connection): void => unused.destroy();
    exchange = new Http1Exchange(connection, {
      method,
      authority,
      responseHeaderTimeout,
      bodyIdleTimeout,
      signal,
      release,
    });
  } catch (error) {
    body?.source.cancel();
    throw error;
  }
  const { status, httpVersion, rawHeaders, headers, body: shape } = await exchange.send(bytes, body);
  const length = shape.kind === 'length' ? shape.length : undefined;
  return { status, httpVersion, rawHeaders, headers, length, body: exchange };
}
