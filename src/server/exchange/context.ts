import type { IncomingMessage, ServerResponse } from 'node:http';
import type { CacheOutcome, Telemetry } from '../../telemetry/index.ts';
import { type ClientInfo, clientInfoOf } from './client-info.ts';

const PROCESS = Math.floor(Math.random() * 36 ** 4)
  .toString(36)
  .padStart(4, '0');
let requests = 0;

/** Unique enough to find a request in the log: four characters of the process, then a count. */
export function nextRequestId(): string {
  requests += 1;
  return `${PROCESS}-${requests.toString(36)}`;
}

/** By which door a request came that was not sent to this server itself: asked of us as a forward proxy, or out of a tunnel. */
export type EntryPoint = 'forward' | 'mitm';

const entrances = new WeakMap<IncomingMessage, EntryPoint>();

/** Remembers by which door a request came in, for its line in the log. */
export function setEntryPoint(request: IncomingMessage, entrance: EntryPoint): void {
  entrances.set(request, entrance);
}

/** One request and its answer, with what there is to say of it when it is over. */
export class RequestContext {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly id = nextRequestId();
  readonly method: string;
  /** Raw path, not decoded, without the query. */
  readonly path: string;
  /** Raw query, without `?`. */
  readonly query: string;
  /** Who asks, as the log and the limits know it: an IP address, empty for a client of a Unix socket. */
  readonly client: string;
  /** How the client came, as it sees it. */
  readonly scheme: ClientInfo['scheme'];
  /** Host, and port unless it is the scheme's own, that the client takes this server for. */
  readonly host: string | undefined;
  route = 'none';
  /** Name of the mirror route that answers, where one does. */
  mirror: string | undefined;
  registry: string | undefined;
  repository: string | undefined;
  upstream: string | undefined;
  cache: CacheOutcome | undefined;
  /** The client's way of naming the registry, to be echoed in `OCI-Namespace`. */
  ns: string | undefined;
  error: string | undefined;
  /** Body bytes handed to the socket. */
  bytes = 0;
  /** Told how many bytes the client has taken, says how many milliseconds it is to wait for more. */
  pace: ((bytes: number) => number) | undefined;
  /** Body bytes that came from the client. */
  received = 0;

  /** Made when somebody asks for it: most requests are answered at once. */
  #left: AbortController | undefined;

  constructor(request: IncomingMessage, response: ServerResponse, telemetry: Telemetry) {
    this.request = request;
    this.response = response;
    this.method = request.method ?? 'GET';
    const target = request.url ?? '/';
    const mark = target.indexOf('?');
    this.path = mark === -1 ? target : target.slice(0, mark);
    this.query = mark === -1 ? '' : target.slice(mark + 1);

    // Taken now: a socket that is closed has forgotten it.
    const caller = clientInfoOf(request);
    this.client = caller.address;
    this.scheme = caller.scheme;
    this.host = caller.host;

    const started = performance.now();
    response.once('close', () => {
      if (!response.writableFinished) this.#left?.abort(new ClientLeftError());
      telemetry.publish('request.finished', {
        id: this.id,
        method: this.method,
        path: this.path,
        status: response.headersSent ? response.statusCode : 0,
        bytes: this.bytes,
        received: this.received,
        entrance: entrances.get(request),
        durationMs: performance.now() - started,
        client: this.client,
        userAgent: request.headers['user-agent'],
        route: this.route,
        registry: this.registry,
        repository: this.repository,
        upstream: this.upstream,
        cache: this.cache,
        error: this.error ?? (response.writableFinished ? undefined : 'the client left'),
      });
    });
  }

  /** Aborts when the connection is lost before the answer was complete. */
  get signal(): AbortSignal {
    if (this.#left === undefined) {
      this.#left = new AbortController();
      if (this.response.destroyed) this.#left.abort(new ClientLeftError());
    }
    return this.#left.signal;
  }

  get isHead(): boolean {
    return this.method === 'HEAD';
  }
}

/** Nobody is there to be answered any more. */
export class ClientLeftError extends Error {
  override readonly name = 'ClientLeftError';

  constructor() {
    super('the client left');
  }
}
