import type { Socket } from 'node:net';
import type { Agent, Dispatcher } from 'undici';
import { policyKey } from './address-policy.ts';
import type { Dial } from './dial.ts';
import {
  type AddressPolicy,
  type HttpClientOptions,
  HttpError,
  type HttpErrorCode,
  type HttpReply,
  type HttpRequest,
} from './http.ts';
import { abortedError, closedError, httpErrorOf, type Phase } from './http-error.ts';
import { authorityOf, defaultPort, portOf, requestHeaders, requestTarget } from './request-head.ts';
import { MAX_HEAD_BYTES } from './response-head.ts';

/** Exchanges whose body is read whole: manifests, tokens, lists. */
export interface SmallExchange {
  /** See HttpClient.fetch. */
  fetch(request: HttpRequest & { readonly maxBytes: number }): Promise<HttpReply>;
  close(): Promise<void>;
}

/** Agents kept: one per address policy, of which a configuration has a handful. */
const MAX_AGENTS = 16;
/** A body that is read whole must come within so many idle timeouts, or a drop a minute would hold it open for ever. */
const BODY_DEADLINE_FACTOR = 10;
const REMEMBERED_ADDRESSES = 1024;

interface PolicyAgent {
  readonly agent: Agent;
  /** The address last connected to, by host and port. */
  readonly addresses: Map<string, string>;
}

/**
 * The path of small answers: undici without its interceptors, over our own sockets. Connections are shared only within
 * one address policy. undici costs 70 ms to load and is loaded at the first request.
 */
export function createSmallExchange(dial: Dial, options: HttpClientOptions): SmallExchange {
  const agents = new Map<string, Promise<PolicyAgent>>();
  const idle = options.bodyIdleTimeout ?? 30_000;
  /** Errors of connections that had served before. */
  const stale = new WeakSet<Error>();
  let closed = false;

  async function create(policy: AddressPolicy): Promise<PolicyAgent> {
    const { Agent } = await import('undici');
    const keepAlive = options.idleConnTimeout ?? 15_000;
    const connections = options.maxConnsPerHost ?? 64;
    const addresses = new Map<string, string>();
    const agent = new Agent({
      connect: ({ protocol, hostname, port }, callback) => {
        const target = { protocol, host: hostname, port: port === '' ? defaultPort(protocol) : Number(port) };
        const dialled = dial({ ...target, addresses: policy });
        void settled(dialled, (socket) => {
          if (socket instanceof Error) return callback(socket, null);
          // Heard before undici's own listener: was anything ever received, it broke while it was kept.
          socket.on('error', (error) => {
            if (socket.bytesRead > 0) stale.add(error);
          });
          if (addresses.size >= REMEMBERED_ADDRESSES) addresses.clear();
          if (socket.remoteAddress !== undefined) addresses.set(`${target.host}:${target.port}`, socket.remoteAddress);
          callback(null, socket);
        });
      },
      allowH2: false,
      pipelining: 1,
      connections: connections === 0 ? null : connections,
      keepAliveTimeout: keepAlive,
      keepAliveMaxTimeout: keepAlive,
      headersTimeout: options.responseHeaderTimeout ?? 30_000,
      // The idle timer is our own: undici's does not run while nothing was read yet.
      bodyTimeout: 0,
      maxHeaderSize: MAX_HEAD_BYTES,
    });
    return { agent, addresses };
  }

  function agentFor(policy: AddressPolicy): Promise<PolicyAgent> {
    const key = policyKey(policy);
    const known = agents.get(key);
    if (known !== undefined) return known;
    const [oldest] = agents;
    if (oldest !== undefined && agents.size >= MAX_AGENTS) {
      agents.delete(oldest[0]);
      // What it is doing is finished first; its failure to close concerns nobody.
      void oldest[1].then(({ agent }) => agent.close()).catch(() => undefined);
    }
    const created = create(policy);
    agents.set(key, created);
    return created;
  }

  async function fetch(request: HttpRequest & { readonly maxBytes: number }): Promise<HttpReply> {
    const { url, method, signal, maxBytes, body } = request;
    const authority = authorityOf(url);
    const path = requestTarget(url);
    const headers = requestHeaders(request.headers);
    if (closed) throw closedError(authority);
    if (signal?.aborted) throw abortedError(authority, signal.reason);
    const { agent, addresses } = await agentFor(request.addresses);
    // A signal of our own: it also ends the exchange where the body is too large or too slow.
    const stop = new AbortController();
    const abort = (): void => stop.abort(abortedError(authority, signal?.reason));
    signal?.addEventListener('abort', abort, { once: true });
    let phase: Phase = 'head';
    const watch = new BodyWatch(authority, { idle, stop });
    try {
      const asked = { origin: url.origin, path, method, headers, body: body ?? null, signal: stop.signal };
      const answer = await agent.request(asked).catch((error: unknown) => {
        // As in the blob pump: a kept connection that broke says nothing about the request. POST is not repeatable.
        if (method === 'POST' || stop.signal.aborted || !servedBefore(error, stale)) throw error;
        return agent.request(asked);
      });
      phase = 'body';
      watch.begin();
      return {
        status: answer.statusCode,
        headers: joinedHeaders(answer.headers),
        remoteAddress: addresses.get(`${url.hostname}:${portOf(url)}`),
        body: await wholeBody(answer, {
          authority,
          maxBytes: method === 'HEAD' ? Number.POSITIVE_INFINITY : maxBytes,
          watch,
        }),
      };
    } catch (error) {
      const reason: unknown = stop.signal.aborted ? stop.signal.reason : error;
      throw httpErrorOf(reason, { authority, phase });
    } finally {
      watch.end();
      signal?.removeEventListener('abort', abort);
    }
  }

  async function close(): Promise<void> {
    closed = true;
    const every = [...agents.values()];
    agents.clear();
    await Promise.all(every.map(async (each) => await (await each).agent.destroy()));
  }

  return { fetch, close };
}

/** undici takes its sockets by callback. */
async function settled(dialled: Promise<Socket>, heard: (result: Socket | Error) => void): Promise<void> {
  let result: Socket | Error;
  try {
    result = await dialled;
  } catch (error) {
    result = error instanceof Error ? error : new Error(String(error));
  }
  heard(result);
}

/** Ends a body that stands still, and one that moves but never arrives. */
class BodyWatch {
  readonly #authority: string;
  readonly #idle: number;
  readonly #stop: AbortController;
  #silence: NodeJS.Timeout | undefined;
  #deadline: NodeJS.Timeout | undefined;

  constructor(authority: string, { idle, stop }: { readonly idle: number; readonly stop: AbortController }) {
    this.#authority = authority;
    this.#idle = idle;
    this.#stop = stop;
  }

  begin(): void {
    const limit = this.#idle * BODY_DEADLINE_FACTOR;
    this.#silence = this.#after(this.#idle, [
      'idle',
      `${this.#authority} stopped sending: no byte of the body within ${this.#idle} ms`,
    ]);
    this.#deadline = this.#after(limit, [
      'timeout',
      `${this.#authority} did not answer in time: the body was not complete within ${limit} ms`,
    ]);
  }

  progress(): void {
    this.#silence?.refresh();
  }

  end(): void {
    clearTimeout(this.#silence);
    clearTimeout(this.#deadline);
  }

  #after(milliseconds: number, [code, message]: readonly [HttpErrorCode, string]): NodeJS.Timeout {
    return setTimeout(() => this.#stop.abort(new HttpError(code, message)), milliseconds);
  }
}

/** Reads to the end, or destroys the connection at the first byte too many (before the first byte, where it is announced). */
async function wholeBody(
  { headers, body }: Dispatcher.ResponseData,
  { authority, maxBytes, watch }: { readonly authority: string; readonly maxBytes: number; readonly watch: BodyWatch },
): Promise<Buffer> {
  const tooLarge = (found: string): HttpError => {
    const message = `${authority} sent ${found}, of which at most ${maxBytes} bytes are taken`;
    const error = new HttpError('too-large', message);
    body.on('error', () => undefined).destroy(error);
    return error;
  };
  const announced = headers['content-length'];
  if (typeof announced === 'string' && Number(announced) > maxBytes) throw tooLarge(`a body of ${announced} bytes`);
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of body as AsyncIterable<Buffer>) {
    watch.progress();
    size += chunk.length;
    if (size > maxBytes) throw tooLarge(`a body without an end within ${size} bytes`);
    chunks.push(chunk);
  }
  return chunks.length === 1 ? (chunks[0] ?? Buffer.alloc(0)) : Buffer.concat(chunks, size);
}

/** The error is of a connection that had served an earlier request: it was closed while this one was on its way. */
function servedBefore(error: unknown, stale: WeakSet<Error>): boolean {
  if (!(error instanceof Error)) return false;
  if (stale.has(error)) return true;
  const { socket } = error as Error & { readonly socket?: { readonly bytesRead?: number } };
  return (socket?.bytesRead ?? 0) > 0;
}

function joinedHeaders(headers: Dispatcher.ResponseData['headers']): Record<string, string> {
  const joined: Record<string, string> = Object.create(null) as Record<string, string>;
  for (const [name, value] of Object.entries(headers)) {
    if (value !== undefined) joined[name.toLowerCase()] = Array.isArray(value) ? value.join(', ') : value;
  }
  return joined;
}
