import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Via } from '../../lib/index.ts';
import type { AccessOutcome, CacheOutcome, PullTarget, Telemetry } from '../../telemetry/index.ts';
import { hasBody } from './announced-body.ts';
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

/** One request and its response, and the fields of its log line and metrics, which are published when it has ended. */
export class RequestContext {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly id = nextRequestId();
  readonly method: string;
  /** Raw path, not decoded, without the query. */
  readonly path: string;
  /** Raw query, without `?`. */
  readonly query: string;
  /** The client's address as the log and the limits know it; empty for a Unix socket. */
  readonly client: string;
  /** As the client sees it: a proxy in front may have ended its TLS. */
  readonly scheme: ClientInfo['scheme'];
  /** The host that the client addresses, with the port unless it is the scheme's default. */
  readonly host: string | undefined;
  /** The principal that the forward proxy has identified; undefined where the request came another way. */
  readonly principal: ClientInfo['principal'];
  /** The name of the user, once it is known. */
  user: string | undefined;
  /** What the rules said, where there are any. */
  access: AccessOutcome | undefined;
  route = 'none';
  /** Name of the mirror route that answers, where one does. */
  mirror: string | undefined;
  registry: string | undefined;
  repository: string | undefined;
  upstream: string | undefined;
  cache: CacheOutcome | undefined;
  /** Why the cache chose that outcome. */
  reason: string | undefined;
  /** The manifest or blob that it asks for, where it asks for one. */
  target: PullTarget | undefined;
  /** What the recorder of pulls notes of it. */
  recorded: object | undefined;
  /** What named the registry. */
  namedBy: string | undefined;
  /** The index of the rule that allowed it, where there are rules. */
  rule: number | undefined;
  /** When its head was read. This and the next three are those of `performance.now()`. */
  readonly startedAt = performance.now();
  /** When it had its slot. */
  slotAt: number | undefined;
  /** When it had passed the gate. */
  passedAt: number | undefined;
  /** When its response began. */
  answeredAt: number | undefined;
  /** Bytes of the whole body of the response; undefined until it begins, and where it is sent in chunks. */
  size: number | undefined;
  /** The client's `?ns=`; the answer repeats it in `OCI-Namespace`. */
  ns: string | undefined;
  error: string | undefined;
  /** True: the answer has no end of its own, so a client that leaves it is no failure. */
  isFollowed = false;
  /** Who the request has passed, and this server: for the requests that it causes. Undefined until it is dispatched. */
  via: Via | undefined;
  /** Body bytes handed to the socket. */
  bytes = 0;
  /** Takes the number of bytes that were sent; returns the milliseconds until more may be sent. Undefined: no limit. */
  throttle: ((bytes: number) => number) | undefined;
  /** Body bytes that came from the client. */
  received = 0;
  /** Whether a body follows the head. The dispatcher finds out whether what a GET announces has any bytes. */
  hasBody: boolean;

  /** Created on first use: most requests are answered at once. */
  #left: AbortController | undefined;

  constructor(request: IncomingMessage, response: ServerResponse, telemetry: Telemetry) {
    this.request = request;
    this.response = response;
    this.method = request.method ?? 'GET';
    const target = request.url ?? '/';
    const mark = target.indexOf('?');
    this.path = mark === -1 ? target : target.slice(0, mark);
    this.query = mark === -1 ? '' : target.slice(mark + 1);
    this.hasBody = hasBody(request);

    // Read now: a closed socket has no address any more.
    const client = clientInfoOf(request);
    this.client = client.address;
    this.scheme = client.scheme;
    this.host = client.host;
    this.principal = client.principal;

    if (telemetry.hears('request.started')) {
      telemetry.publish('request.started', {
        id: this.id,
        traceparent: headerOf(request, 'traceparent'),
        tracestate: headerOf(request, 'tracestate'),
        isTrusted: client.isForwarded === true,
      });
    }
    response.once('close', () => {
      if (!response.writableFinished) this.#left?.abort(new ClientLeftError());
      const status = response.headersSent ? response.statusCode : 0;
      // A pull of what does not exist needs no rule.
      const isAnswered = status >= 200 && status < 400;
      if (this.access !== undefined && (isAnswered || this.access.verdict === 'denied')) {
        telemetry.publish('access.decided', this.access);
      }
      telemetry.publish('request.finished', {
        id: this.id,
        method: this.method,
        path: this.path,
        status,
        bytes: this.bytes,
        received: this.received,
        entrance: client.entryPoint,
        durationMs: performance.now() - this.startedAt,
        client: this.client,
        user: this.user,
        userAgent: this.userAgent,
        route: this.route,
        registry: this.registry,
        repository: this.repository,
        upstream: this.upstream,
        cache: this.cache,
        error: this.error ?? (response.writableFinished || this.isFollowed ? undefined : 'the client left'),
        pull: this.target === undefined ? undefined : this,
        hasLeft: this.error === undefined && !response.writableFinished && !this.isFollowed,
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

  get userAgent(): string | undefined {
    return this.request.headers['user-agent'];
  }

  /** GET and HEAD: a request that changes nothing, and takes no body here. */
  get isReading(): boolean {
    return this.method === 'GET' || this.method === 'HEAD';
  }

  get isHead(): boolean {
    return this.method === 'HEAD';
  }
}

/** Several headers of one name are joined, as Node does for names it does not know. */
function headerOf({ headers }: IncomingMessage, name: string): string | undefined {
  return headers[name]?.toString();
}

/** The connection was lost before the answer was complete. */
export class ClientLeftError extends Error {
  override readonly name = 'ClientLeftError';

  constructor() {
    super('the client left');
  }
}
