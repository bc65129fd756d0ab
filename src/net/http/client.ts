import { createDial } from '../dial/index.ts';
import { authorityOf, isStreamed, requestBytes } from '../head/index.ts';
import {
  type HttpClient,
  type HttpClientOptions,
  HttpError,
  type HttpReply,
  type HttpRequest,
  type HttpStream,
} from '../http-types.ts';
import { portOf } from '../port.ts';
import { ConnectionPool, type Lane } from './connection-pool.ts';
import { type ExchangeOptions, Http1Exchange } from './http1-exchange.ts';
import { readWhole } from './whole-body.ts';

const THIRTY_SECONDS = 30_000;
/** Asked twice, these do no harm. */
const REPEATABLE = new Set(['GET', 'HEAD', 'OPTIONS']);
/** A body that is read whole must come within so many idle timeouts, or a drop a minute would hold it open for ever. */
const BODY_DEADLINE_FACTOR = 10;

/**
 * A client for other servers, with its own connections, TLS settings and deadlines. Nothing is dialled before the first
 * request.
 *
 * HTTP/1.1 over sockets that read into buffers used again, so that a gigabyte costs a third of the processor time of a
 * general client. It asks one thing at a time per connection, decodes nothing and follows nothing.
 */
export function createHttpClient(options: HttpClientOptions = {}): HttpClient {
  const idle = options.bodyIdleTimeout ?? THIRTY_SECONDS;
  const pool = new ConnectionPool(createDial(options), {
    idleConnTimeout: options.idleConnTimeout ?? 15_000,
    maxIdleConns: options.maxIdleConns ?? 0,
    maxIdleConnsPerHost: options.maxIdleConnsPerHost ?? 16,
    maxConnsPerHost: options.maxConnsPerHost ?? 64,
  });

  async function ask(request: HttpRequest, lane: Lane): Promise<HttpStream> {
    const { url, method, signal, addresses } = request;
    const bytes = requestBytes(request);
    const body = isStreamed(request.body) ? request.body : undefined;
    const target = { protocol: url.protocol, host: url.hostname, port: portOf(url), addresses, signal };
    const settings: ExchangeOptions = {
      method,
      authority: authorityOf(url),
      responseHeaderTimeout: options.responseHeaderTimeout ?? THIRTY_SECONDS,
      bodyIdleTimeout: idle,
      signal,
      release: (connection) => pool.release(connection),
    };
    // A body that can be sent once goes out on a connection that nobody can have closed meanwhile.
    for (let fresh = body !== undefined; ; fresh = true) {
      const connection = await pool.acquire(target, { lane, fresh }).catch((error: unknown) => {
        body?.source.cancel();
        throw error;
      });
      const { remoteAddress } = connection;
      const exchange = new Http1Exchange(connection, settings);
      try {
        const answer = await exchange.send(bytes, body);
        const { status, headers, setCookies } = answer;
        const length = answer.body.kind === 'length' ? answer.body.length : undefined;
        return { status, headers, setCookies, remoteAddress, length, body: exchange };
      } catch (error) {
        // The other side may close a kept connection while the request is on its way to it (RFC 9110 §9.2.2): that says
        // nothing about the request, so it is sent once more, on a connection that was never used. A POST is not: it may
        // have been heard.
        const stale = REPEATABLE.has(method) && !fresh && connection.reused && exchange.untouched;
        if (!stale || !(error instanceof HttpError) || error.code !== 'reset') throw error;
      }
    }
  }

  async function fetch(request: HttpRequest & { readonly maxBytes: number }): Promise<HttpReply> {
    const { status, headers, setCookies, remoteAddress, length, body } = await ask(request, 'whole');
    const whole = await readWhole(body, {
      authority: authorityOf(request.url),
      length,
      maxBytes: request.maxBytes,
      within: idle * BODY_DEADLINE_FACTOR,
    });
    return { status, headers, setCookies, remoteAddress, body: whole };
  }

  return {
    fetch,
    open: (request) => ask(request, 'stream'),
    close: ({ graceful = false } = {}) => {
      if (graceful) return pool.retire();
      pool.close();
      return Promise.resolve();
    },
  };
}
