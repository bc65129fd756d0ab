import type { BlobReader, ByteSource } from '../../lib/index.ts';
import type { CacheOutcome } from '../../telemetry/index.ts';

/** The key of a stored answer. */
export interface UrlKey {
  /** Name of the route; at most 255 characters. */
  readonly route: string;
  /**
   * The upstream's URL, with its query. A fragment holds what else the answer depends on, such as the `Host` that is sent: answers
   * of different sites, or to different askers, never have one key.
   */
  readonly url: string;
}

/** How a route caches one URL. */
export interface UrlRules {
  /** False: the cache neither stores nor serves it. */
  readonly enabled: boolean;
  /** True where the route marks this URL as one whose content never changes: it is never revalidated. */
  readonly immutable: boolean;
}

/**
 * A request to the cache by URL.
 *
 * Requests with a body, or with an `Origin` header whose answer may differ, bypass the cache.
 */
export interface UrlRequest {
  readonly method: 'GET' | 'HEAD';
  /**
   * Asks the upstream; it follows or returns redirects itself. Rejects with an OriginFailure where no answer came; an answer
   * of any status is one.
   *
   * It may be called several times and after the request is over: a transfer goes on for others, and is continued where it
   * broke off. It must obey the given signal and no other, for the body too.
   */
  readonly open: (options: UrlOpen) => Promise<UrlResponse>;
  /**
   * True where the request has a header that may say who asks, such as `Authorization` or `Cookie`: a stored answer is served only
   * after the upstream has confirmed it to these very headers, and an answer is stored only where it is declared public
   * (RFC 9111, section 3.5).
   */
  readonly personal: boolean;
  /** The client's headers of these names. */
  readonly range?: string | undefined;
  readonly ifRange?: string | undefined;
  readonly ifNoneMatch?: string | undefined;
  readonly ifModifiedSince?: string | undefined;
  readonly ifMatch?: string | undefined;
  readonly ifUnmodifiedSince?: string | undefined;
  /** Servers that the request had passed before this one; see `OriginSource.hops`. No part of the key. @default 0 */
  readonly hops?: number;
  readonly signal: AbortSignal;
  readonly rules: UrlRules;
}

/** A request to the upstream. */
export interface UrlOpen {
  readonly method: 'GET' | 'HEAD';
  /** First byte wanted; more than 0 sends `Range: bytes=<offset>-` with `If-Range: <validator>`. @default 0 */
  readonly offset?: number;
  /** A strong entity tag or a strong date, as it was received; required with an offset. */
  readonly validator?: string;
  /** Conditions and ranges to send. The client's own headers of these names are not sent. */
  readonly headers: Readonly<Record<string, string>>;
  readonly signal: AbortSignal;
}

/** The response of the upstream. */
export interface UrlResponse {
  /** Who answered in the upstream's place: then it says nothing about the content. @default nothing did */
  readonly blockedBy?: string | undefined;
  readonly status: number;
  /** Lower-case names; `set-cookie` and `transfer-encoding` among them, as what may be kept depends on them. */
  readonly headers: Readonly<Record<string, string>>;
  /** Bytes of the body by its `Content-Length`; undefined where that is not known. Without meaning for HEAD and 304. */
  readonly length: number | undefined;
  /** To be read to the end or cancelled; empty for HEAD and 304. */
  readonly body: ByteSource;
}

/** A part of the content, both ends inclusive. */
interface UrlPart {
  readonly start: number;
  readonly end: number;
}

/** Several parts of one stored version. */
interface UrlParts {
  /** Two or more. */
  readonly parts: readonly UrlPart[];
  /** Opens one of them; the first is the answer's own reader. Rejects where the content is lost meanwhile. */
  readonly open: (part: UrlPart) => Promise<BlobReader>;
}

export type UrlAnswer = KeptUrl | PassedUrl;

/** Content from the store or from a running transfer. The caller evaluates the conditions first, then the part. */
export interface KeptUrl {
  readonly kind: 'kept';
  /** The stored headers of the 200, without `content-length` and `age`. */
  readonly headers: Readonly<Record<string, string>>;
  /** Bytes of the whole; undefined where they are not known yet. */
  readonly size: number | undefined;
  /** 206 with this span, or 416; undefined: 200 with the whole. */
  readonly part: UrlPart | 'unsatisfiable' | undefined;
  /** Where the request asks for several parts, and the content is stored. `part` is the first of them then. */
  readonly several?: UrlParts | undefined;
  /** Gives the part, or the whole; nothing for HEAD and 416. The caller closes it. */
  readonly reader: BlobReader;
  readonly outcome: Exclude<CacheOutcome, 'PASS'>;
  /** Seconds for the `Age` header; undefined where the upstream has just answered. */
  readonly age: number | undefined;
  /** Why it is stale, where it is; for a `Warning` header. */
  readonly warning: string | undefined;
}

/** The upstream's own response, passed on. The caller reads it to the end or cancels it. */
interface PassedUrl {
  readonly kind: 'through';
  readonly response: UrlResponse;
}
