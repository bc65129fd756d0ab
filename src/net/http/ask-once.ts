import type { OnReadOpts } from 'node:net';
import type { ByteSource } from '../../lib/index.ts';
import type { Dialled } from '../dial/index.ts';
import { exactRequestBytes, type ResponseHead } from '../head/index.ts';
import type { ExactRequest } from '../http-types.ts';
import { Connection } from './connection.ts';
import { type ExchangeOptions, Http1Exchange } from './http1-exchange.ts';

interface AskOnceOptions extends Pick<ExchangeOptions, 'authority' | 'responseHeaderTimeout' | 'bodyIdleTimeout'> {
  /** Opens the connection, which reads into `onread`. Its errors are passed on. */
  readonly open: (reads: Reads) => Promise<Dialled>;
}

export interface Reads {
  readonly onread: OnReadOpts;
  readonly signal: AbortSignal | undefined;
}

/** A response to be forwarded unchanged. */
export interface ExactAnswer extends Pick<ResponseHead, 'status' | 'httpVersion' | 'rawHeaders' | 'headers'> {
  /** From `Content-Length`, 0 where there is no body; undefined where the end of the body is found otherwise. */
  readonly length: number | undefined;
  /** To be read to its end or cancelled. Rejects as the body of {@link HttpStream}. */
  readonly body: ByteSource;
}

/**
 * Sends one request on a connection of its own, which is closed after the response: without reuse, two requests cannot be
 * confused. Reads and framing are those of every other request.
 *
 * @throws {TypeError} for characters HTTP does not allow, or headers that announce another length than the body's
 * @throws {HttpError}
 */
export async function askOnce(request: ExactRequest, options: AskOnceOptions): Promise<ExactAnswer> {
  const { method, body, signal } = request;
  const { open, ...timeouts } = options;
  let exchange: Http1Exchange;
  let bytes: Buffer;
  try {
    bytes = exactRequestBytes(request);
    const connection = await Connection.open<Pick<Reads, 'signal'>>(open, { signal });
    const release = (unused: Connection): void => unused.destroy();
    exchange = new Http1Exchange(connection, { ...timeouts, method, signal, release });
  } catch (error) {
    body?.source.cancel();
    throw error;
  }
  const { status, httpVersion, rawHeaders, headers, body: shape } = await exchange.send(bytes, body);
  const length = shape.kind === 'length' ? shape.length : undefined;
  return { status, httpVersion, rawHeaders, headers, length, body: exchange };
}
