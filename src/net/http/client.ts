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
/** Safe methods, which may be sent twice. */
const REPEATABLE = new Set(['GET', 'HEAD', 'OPTIONS']);
/** The deadline of a body read whole, in idle timeouts: a byte per minute must not keep it open for ever. */
const BODY_DEADLINE_FACTOR = 10;

/**
 * Creates an HTTP client with its own connections, TLS settings and deadlines. It dials at the first request.
 *
 * HTTP/1.1 over sockets that read into reused buffers: a gigabyte costs a third of the processor time of a general client. It
 * sends one request at a time per connection, decodes no body and follows no redirect.
 */
export function createHttpClient(options: HttpClientOptions = {}): HttpClient {
  const idle = options.bodyIdleTimeout ?? THIRTY_SECONDS;
  const pool = new ConnectionPool(createDial(options), {
    idleConnTimeout: options.idleConnTimeout ?? 15_000,
    maxIdleConns: options.maxIdleConns ?? 0,
    maxIdleConnsPerHost: options.maxIdleConnsPerHost ?? 16,
    maxConnsPerHost: options.maxConnsPerHost ?? 64,
  });

  async function send(request: HttpRequest, lane: Lane): Promise<HttpStream> {
    const { url, method, signal, addresses } = request;
    const bytes = requestBytes(request);
    const body = isStreamed(request.body) ? request.body : undefined;
    const target = { protocol: url.protocol, host: url.hostname, port: portOf(url), addresses, signal };
    const settings: ExchangeOptions = {
      method,
      authority: authorityOf(url),
      responseHeaderTimeout: request.responseHeaderTimeout ?? options.responseHeaderTimeout ?? THIRTY_SECONDS,
      expectsContinue: request.expectContinue === true && body !== undefined && body.length !== 0,
      bodyIdleTimeout: idle,
      meter: request.meter,
      signal,
      release: (connection) => pool.release(connection),
    };
    // A body that can be sent only once needs a new connection: the server may be closing a pooled one.
    for (let fresh = body !== undefined; ; fresh = true) {
      const connection = await pool.acquire(target, { lane, fresh }).catch((error: unknown) => {
        body?.source.cancel();
        throw error;
      });
      const { remoteAddress } = connection;
      const exchange = new Http1Exchange(connection, settings);
      try {
        const sentAt = performance.now();
        const head = await exchange.send(bytes, body);
        const respondedMs = performance.now() - sentAt;
        const { status, headers, setCookies } = head;
        const length = head.body.kind === 'length' ? head.body.length : undefined;
        return {
          status,
          headers,
          setCookies,
          remoteAddress,
          respondedMs,
          length,
          body: exchange,
          meter: request.meter,
        };
      } catch (error) {
        // The server may close a pooled connection while a request is on its way (RFC 9110 §9.2.2). The request is sent once
        // more, on a new connection. A POST is not, since the server may have processed it.
        const isStale = REPEATABLE.has(method) && !fresh && connection.reused && exchange.isUnanswered;
        if (!isStale || !(error instanceof HttpError) || error.code !== 'reset') throw error;
      }
    }
  }

  async function fetch(request: HttpRequest & { readonly maxBytes: number }): Promise<HttpReply> {
    const { length, body, meter: _, ...head } = await send(request, 'whole');
    const whole = await readWhole(body, {
      authority: authorityOf(request.url),
      length,
      maxBytes: request.maxBytes,
      within: idle * BODY_DEADLINE_FACTOR,
    });
    return { ...head, body: whole };
  }

  return {
    fetch,
    open: (request) => send(request, 'stream'),
    close: ({ graceful = false } = {}) => {
      if (graceful) return pool.retire();
      pool.close();
      return Promise.resolve();
    },
  };
}
