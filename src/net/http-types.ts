import type { LookupFunction } from 'node:net';
import type { ByteSource } from '../lib/index.ts';
import type { Telemetry } from '../telemetry/index.ts';

/** One HTTP exchange with another server, without redirects, retries, caches or decoding: policy belongs to the caller. */
export interface HttpClient {
  /** A small exchange: the body is read whole, up to `maxBytes`. */
  fetch(request: HttpRequest & { readonly maxBytes: number }): Promise<HttpReply>;
  /** An exchange whose answer is pulled by the caller, which must read it to the end or cancel it. */
  open(request: HttpRequest): Promise<HttpStream>;
  /**
   * Closes every connection. With `graceful`, what is unused at once and the rest when its exchange has ended: the client
   * can still be asked, and keeps nothing; resolves when no connection is left.
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
  /** Lower-case names. `accept-encoding: identity` is added; hop-by-hop headers are refused. */
  readonly headers: Readonly<Record<string, string>>;
  /** A text, as UTF-8, or bytes: at most 64 KiB, sent with their length. Or a stream. Never with GET or HEAD. */
  readonly body?: string | Buffer | RequestBody;
  /** What the `Host` header says. @default host and port of the URL */
  readonly host?: string;
  readonly signal?: AbortSignal;
  /** What may be dialled: see {@link AddressPolicy}. */
  readonly addresses: AddressPolicy;
}

/** A body that is sent as it comes. It can be sent once, so the request is never repeated on another connection. */
export interface RequestBody {
  /** Bytes in all; undefined: sent in chunks. */
  readonly length: number | undefined;
  /** Read to its end, or cancelled where the other side wants no more of it. */
  readonly source: ByteSource;
}

/** A request that goes out as its author wrote it. */
export interface ExactRequest {
  readonly method: string;
  /** The request target, byte for byte: no URL that would be tidied up. */
  readonly target: string;
  /** Name and value alternate, in the order and spelling in which they are sent; `Content-Length` is among them. */
  readonly rawHeaders: readonly string[];
  /** Without a length it goes in chunks, and `Transfer-Encoding` says so after the other headers. */
  readonly body?: RequestBody | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * `any`: the configuration names this host. `public`: the address came from outside (a redirect, a realm), so the
 * resolved address must be a public one, unless `allow` holds it (hosts, addresses or CIDR blocks).
 */
export type AddressPolicy = { readonly kind: 'any' } | { readonly kind: 'public'; readonly allow: readonly string[] };

export interface HttpHead {
  readonly status: number;
  /** Lower-case names; repeated headers joined by `, `. A null-prototype object. */
  readonly headers: Readonly<Record<string, string>>;
  /** Each `Set-Cookie`, which cannot be joined (RFC 9110 §5.3). */
  readonly setCookies: readonly string[];
  /** The address that answered this very request, without port; undefined where an outbound proxy asked for us. */
  readonly remoteAddress: string | undefined;
}

export interface HttpReply extends HttpHead {
  readonly body: Buffer;
}

export interface HttpStream extends HttpHead {
  /** From `Content-Length`; undefined where the body ends otherwise. */
  readonly length: number | undefined;
  /** Rejects with HttpError `truncated` where the connection ended before the body did, `idle` where nothing came. */
  readonly body: ByteSource;
}

/**
 * What went wrong below HTTP, in a closed set.
 *
 * `refused` nobody listens; `dns` the name does not resolve; `timeout` no connection, handshake or answer in time; `idle`
 * a body stood still; `reset` the connection broke before an answer; `truncated` it broke within the body; `tls` the
 * certificate or handshake was refused; `protocol` what came is not HTTP; `too-large` more than `maxBytes`; `forbidden`
 * the address policy forbids it; `aborted` the caller's signal.
 */
export type HttpErrorCode =
  | 'refused'
  | 'dns'
  | 'timeout'
  | 'idle'
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

  constructor(code: HttpErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
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
  /** Milliseconds from the request to the head of the answer. @default 30_000 */
  readonly responseHeaderTimeout?: number;
  /** Milliseconds without a byte that end a body. @default 30_000 */
  readonly bodyIdleTimeout?: number;
  /** Milliseconds an unused connection is kept. @default 15_000 */
  readonly idleConnTimeout?: number;
  /** Connections kept unused, per host. @default 16 */
  readonly maxIdleConnsPerHost?: number;
  /** Connections at once, per host, for `fetch` and for `open` each; 0 is no limit. Requests over it wait. @default 64 */
  readonly maxConnsPerHost?: number;
  /** Connections kept unused, all hosts together; 0 is no limit. @default 0 */
  readonly maxIdleConns?: number;
  /** Milliseconds of silence before TCP asks whether the other side is still there; 0 never asks. @default 30_000 */
  readonly keepalive?: number;
  /**
   * Bytes of the ClientHello in its first TLS record and TCP segment, 1 to 255; 0 leaves it whole. Where a handshake is cut,
   * 1 and then 0 are tried, within one `tlsHandshakeTimeout`. @default 0
   */
  readonly firstFragmentLen?: number;
  /** Whether a whole ClientHello, which shows the server's name, may be the last thing tried. @default true */
  readonly allowPlainFallback?: boolean;
  /** Through whom to connect, or a function that says so for the origin of each request. @default nobody */
  readonly outboundProxy?: URL | ((origin: URL) => URL | undefined);
  /** How names become addresses; the address policy is applied to whatever it says. @default the system's resolver */
  readonly lookup?: LookupFunction;
  /** The same; goes before `lookup`. It is not closed with the client. */
  readonly resolver?: { readonly lookup: LookupFunction };
  /** Hears `transport.fallback`. */
  readonly telemetry?: Telemetry;
}
