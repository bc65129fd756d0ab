import { ConnectionPool } from './connection-pool.ts';
import type { Dial } from './dial.ts';
import { Exchange, type ExchangeOptions } from './exchange.ts';
import { type HttpClientOptions, HttpError, type HttpRequest, type HttpStream } from './http.ts';
import { authorityOf, portOf, requestHead } from './request-head.ts';

/** Opens bodies to be pulled, over connections of its own. */
export interface BlobPump {
  /** See HttpClient.open. GET and HEAD only. */
  open(request: HttpRequest): Promise<HttpStream>;
  close(): void;
}

const THIRTY_SECONDS = 30_000;

/**
 * The path of layers: HTTP/1.1 over sockets that read into buffers used again, so that a gigabyte costs a third of the
 * processor time of a general client. It asks one thing at a time per connection, decodes nothing and follows nothing.
 */
export function createBlobPump(dial: Dial, options: HttpClientOptions): BlobPump {
  const pool = new ConnectionPool(dial, {
    idleConnTimeout: options.idleConnTimeout ?? 15_000,
    maxIdleConnsPerHost: options.maxIdleConnsPerHost ?? 16,
    maxConnsPerHost: options.maxConnsPerHost ?? 64,
  });

  async function open(request: HttpRequest): Promise<HttpStream> {
    const { url, method, signal, addresses } = request;
    if (method === 'POST' || request.body !== undefined) {
      throw new TypeError('open() sends no body; fetch() does');
    }
    const head = requestHead(request);
    const target = { protocol: url.protocol, host: url.hostname, port: portOf(url), addresses, signal };
    const settings: ExchangeOptions = {
      method,
      authority: authorityOf(url),
      responseHeaderTimeout: options.responseHeaderTimeout ?? THIRTY_SECONDS,
      bodyIdleTimeout: options.bodyIdleTimeout ?? THIRTY_SECONDS,
      signal,
      release: (connection) => pool.release(connection),
    };
    for (let fresh = false; ; fresh = true) {
      const connection = await pool.acquire(target, { fresh });
      const { remoteAddress } = connection;
      const exchange = new Exchange(connection, settings);
      try {
        const answer = await exchange.send(head);
        const length = answer.body.kind === 'length' ? answer.body.length : undefined;
        return { status: answer.status, headers: answer.headers, remoteAddress, length, body: exchange };
      } catch (error) {
        // The other side may close a kept connection while the request is on its way to it (RFC 9110 §9.2.2): that says
        // nothing about the request, so it is sent once more, on a connection that was never used.
        const stale = !fresh && connection.reused && exchange.untouched;
        if (!stale || !(error instanceof HttpError) || error.code !== 'reset') throw error;
      }
    }
  }

  return { open, close: () => pool.close() };
}
