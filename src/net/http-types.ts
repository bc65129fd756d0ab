import type { LookupFunction } from 'node:net';
import type { ByteSource } from '../lib/index.ts';
import type { Telemetry } from '../telemetry/index.ts';

/** Single HTTP exchanges with other servers, without redirects, retries, caches or decoding: policy is the caller's. */
export interface HttpClient {
  /** An exchange whose response body is read whole, up to `maxBytes`. */
  fetch(request: HttpRequest & { readonly maxBytes: number }): Promise<HttpReply>;
  /** An exchange whose response body the caller reads, to the end, or cancels. */
  open(request: HttpRequest): Promise<HttpStream>;
  /**
   * Closes every connection. With `graceful`, it closes idle connections at once and the others when their exchanges end; the
   * client still takes requests, but pools no connection any more. Resolves when no connection is left.
   */
  close(options?: CloseOptions): Promise<void>;
}

export interface CloseOptions {
  /** @default false */
  readonly graceful?: boolean;
}

export interface HttpRequest {
  /** In capitals; neither CONNECT nor TRACE. */
  readonly method: string;
  /** `http:` or `https:`; never with userinfo. */
  readonly url: URL;
  /** Path and query as they were written, where the parser of the URL would rewrite them. @default those of the URL */
  readonly target?: string;
  /** Lower-case names. `accept-encoding: identity` is added; hop-by-hop headers are refused. */
  readonly headers: Readonly<Record<string, string>>;
  /** A text (UTF-8) or bytes, at most 64 KiB, sent with their length; or a stream. Not allowed with GET or HEAD. */
  readonly body?: string | Buffer | RequestBody;
  /**
   * Sends the head of a streamed body alone, and the body once the server wants it (RFC 9110 §10.1.1) or has not answered for a
   * second: what refuses the request then refuses it before a byte was read. @default false
   */
  readonly expectContinue?: boolean;
  /** Milliseconds from the last byte of the request to the head of the response. @default that of the client */
  readonly responseHeaderTimeout?: number | undefined;
  /** The `Host` header. @default host and port of the URL */
  readonly host?: string;
  readonly signal?: AbortSignal;
  /** Counts the body of the response while it comes. */
  readonly meter?: ResponseMeter | undefined;
  /** The addresses that may be dialled. */
  readonly addresses: AddressPolicy;
}

/** What has come of a response's body: begins at 0 and false. */
export interface ResponseMeter {
  /** Without the framing of chunks. Bytes that were received and then dropped count too. */
  bytes: number;
  /** True once no more will come. */
  isOver: boolean;
  /** Milliseconds that reads of the body have waited for bytes. @default not measured */
  waitedMs?: number;
}

/** A streamed body. It can be sent only once, so its request is never repeated on another connection. */
export interface RequestBody {
  /** Total bytes; undefined: sent in chunks. */
  readonly length: number | undefined;
  /** Read to its end, or cancelled where the server refuses the rest. */
  readonly source: ByteSource;
}

/** A request forwarded unchanged. */
export interface ExactRequest {
  readonly method: string;
  /** The request target, byte for byte: a URL would be normalized. */
  readonly target: string;
  /** Name and value alternate, in the order and spelling to send, including `Content-Length`. */
  readonly rawHeaders: readonly string[];
  /** Without a length it is sent in chunks, and `Transfer-Encoding` is added after the other headers. */
  readonly body?: RequestBody | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * `any`: the configuration names this host. `public`: another server chose it (a redirect, a token realm), so its resolved
 * address must be public, unless `allow` lists it (host names, addresses or CIDR blocks).
 */
export type AddressPolicy = { readonly kind: 'any' } | { readonly kind: 'public'; readonly allow: readonly string[] };

export interface HttpHead {
  readonly status: number;
  /** Lower-case names; repeated headers joined by `, `. A null-prototype object. */
  readonly headers: Readonly<Record<string, string>>;
  /** Each `Set-Cookie` by itself: they cannot be joined (RFC 9110 §5.3). */
  readonly setCookies: readonly string[];
  /** The address that responded, without port; undefined through an outbound proxy. */
  readonly remoteAddress: string | undefined;
  /** Milliseconds from the first byte of the request, on a connection that was open, to the head. @default not measured */
  readonly respondedMs?: number;
}

export interface HttpReply extends HttpHead {
  readonly body: Buffer;
}

export interface HttpStream extends HttpHead {
  /** From `Content-Length`; undefined where there is none. */
  readonly length: number | undefined;
  /** Rejects with HttpError `truncated` where the connection ends before the body does, `idle` where it stalls. */
  readonly body: ByteSource;
  /** That of the request. */
  readonly meter?: ResponseMeter | undefined;
}

/**
 * The failures below HTTP.
 *
 * `refused`: no connection is possible. `dns`: the name does not resolve. `timeout`: no connection, handshake or response in
 * time. `idle`: a body stalled. `tls-reset`: the connection broke during the TLS handshake, the sign of a firewall that blocks
 * a host name. `reset`: it broke later, before a response. `truncated`: it broke within the body. `tls`: the certificate or
 * handshake failed. `protocol`: the response is not HTTP/1.1. `too-large`: more than `maxBytes`.
 * `forbidden`: the address policy forbids it. `aborted`: by the caller's signal.
 */
export type HttpErrorCode =
  | 'refused'
  | 'dns'
  | 'timeout'
  | 'idle'
  | 'tls-reset'
  | 'reset'
  | 'truncated'
  | 'tls'
  | 'protocol'
  | 'too-large'
  | 'forbidden'
  | 'aborted';

export class HttpError extends Error {
  override readonly name = 'HttpError';
  readonly code: HttpErrorCode;
  /** What the operator can do, in whole sentences; undefined where the message says all there is. */
  readonly remedy: string | undefined;

  constructor(code: HttpErrorCode, message: string, options?: ErrorOptions & { readonly remedy?: string | undefined }) {
    super(message, options);
    this.code = code;
    this.remedy = options?.remedy;
  }

  /** The message, and the remedy where there is one. */
  get explanation(): string {
    return this.remedy === undefined ? this.message : `${this.message}. ${this.remedy}`;
  }
}

export interface HttpClientOptions {
  /** PEM contents, not paths. */
  readonly tls?: {
    readonly ca?: string;
    readonly cert?: string;
    readonly key?: string;
    readonly insecureSkipVerify?: boolean;
  };
  /** Milliseconds to a TCP connection. @default 10_000 */
  readonly dialTimeout?: number;
  /** Milliseconds for the TLS handshake. @default 10_000 */
  readonly tlsHandshakeTimeout?: number;
  /** Milliseconds from the last byte of the request to the head of the response. @default 30_000 */
  readonly responseHeaderTimeout?: number;
  /** Milliseconds without a byte after which a body fails. @default 30_000 */
  readonly bodyIdleTimeout?: number;
  /** Milliseconds an idle connection is kept. @default 15_000 */
  readonly idleConnTimeout?: number;
  /** Idle connections kept per host. @default 16 */
  readonly maxIdleConnsPerHost?: number;
  /** Connections per host, for `fetch` and for `open` each; further requests wait. 0: no limit. @default 64 */
  readonly maxConnsPerHost?: number;
  /** Idle connections kept in total; 0: no limit. @default 0 */
  readonly maxIdleConns?: number;
  /** Milliseconds of silence before TCP keep-alive probes; 0: no probes. @default 30_000 */
  readonly keepalive?: number;
  /**
   * Bytes of the ClientHello in its first TLS record and TCP segment, 1 to 255; 0 leaves it unfragmented. After a cut handshake,
   * 1 and then 0 are tried, within one `tlsHandshakeTimeout`. @default 0
   */
  readonly firstFragmentLen?: number;
  /** Whether the last attempt may use an unfragmented ClientHello, which reveals the server's name. @default true */
  readonly allowPlainFallback?: boolean;
  /** The outbound proxy, or a function that chooses it for the origin of each request. @default none */
  readonly outboundProxy?: URL | ((origin: URL) => URL | undefined);
  /** Resolves names; the address policy applies to its results. @default the system's resolver */
  readonly lookup?: LookupFunction;
  /** Receives `transport.fallback`. */
  readonly telemetry?: Telemetry;
}
