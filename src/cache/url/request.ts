import type { BlobReader, ByteSource } from '../../lib/index.ts';
import type { CacheOutcome } from '../../telemetry/index.ts';

/** What an answer is kept under. */
export interface UrlKey {
  /** Name of the route it was asked through; at most 255 characters. */
  readonly route: string;
  /** The upstream's URL, with its query and without a fragment. */
  readonly url: string;
}

/** What a route says of keeping the answer to one URL. */
export interface UrlRules {
  /** False: nothing is kept, and nothing that was kept is looked for. */
  readonly enabled: boolean;
  /** True where the route marks this very URL as one whose content never changes: it is never asked for again. */
  readonly immutable: boolean;
}

/**
 * What an entrance asks of the cache by URL.
 *
 * What has a body, or an `Origin` whose answer may differ, is not asked here but passed on by the entrance itself.
 */
export interface UrlRequest {
  readonly method: 'GET' | 'HEAD';
  /**
   * Asks the upstream; redirects are followed, or given back, inside. Rejects with an OriginFailure where no answer came;
   * an answer of any status is one.
   *
   * It may be called after the request is over, and several times: a transfer goes on for others, and is continued where it
   * broke. It must obey the signal it is given, and no other, for the body too.
   */
  readonly open: (options: UrlOpen) => Promise<UrlResponse>;
  /**
   * True where the client sent `Authorization` or `Cookie`: nothing stored is served unless the upstream confirmed it to
   * these very credentials just now, and nothing is stored that is not declared public.
   */
  readonly personal: boolean;
  /** The client's headers of these names. */
  readonly range?: string | undefined;
  readonly ifRange?: string | undefined;
  readonly ifNoneMatch?: string | undefined;
  readonly ifModifiedSince?: string | undefined;
  readonly ifMatch?: string | undefined;
  readonly ifUnmodifiedSince?: string | undefined;
  readonly signal: AbortSignal;
  readonly rules: UrlRules;
}

/** How the upstream is asked. */
export interface UrlOpen {
  readonly method: 'GET' | 'HEAD';
  /** First byte wanted; more than 0 sends `Range: bytes=<offset>-` with `If-Range: <validator>`. @default 0 */
  readonly offset?: number;
  /** A strong entity tag or a strong date, as it was received; always there with an offset. */
  readonly validator?: string;
  /** To be sent in place of the client's headers of these names, which are dropped: a condition, or a range of its own. */
  readonly headers: Readonly<Record<string, string>>;
  readonly signal: AbortSignal;
}

/** What the upstream answered. */
export interface UrlResponse {
  readonly status: number;
  /** Lower-case names; `set-cookie` and `transfer-encoding` among them, as what may be kept depends on them. */
  readonly headers: Readonly<Record<string, string>>;
  /** Bytes of the body by its `Content-Length`; undefined where that is not known. Without meaning for HEAD and 304. */
  readonly length: number | undefined;
  /** To be read to the end or cancelled; empty for HEAD and 304. */
  readonly body: ByteSource;
}

/** A part of what was asked for, both ends inclusive. */
export interface UrlPart {
  readonly start: number;
  readonly end: number;
}

export type UrlAnswer = KeptUrl | PassedUrl;

/** It is here, or on its way in. The caller looks at conditions first, then at the part. */
export interface KeptUrl {
  readonly kind: 'kept';
  /** Of the 200; without `content-length`, `age` and whatever is not known to outlive its connection. */
  readonly headers: Readonly<Record<string, string>>;
  /** Bytes of the whole; undefined: nobody knows yet. */
  readonly size: number | undefined;
  /** 206 with this span, or 416; undefined: 200 with the whole. */
  readonly part: UrlPart | 'unsatisfiable' | undefined;
  /** Gives the part, or the whole; nothing for HEAD and 416. To be closed by whoever gets it. */
  readonly reader: BlobReader;
  readonly outcome: Exclude<CacheOutcome, 'PASS'>;
  /** Seconds since an upstream vouched for it, whatever it came through; undefined where it did so just now. */
  readonly age: number | undefined;
  /** Where it is stale, for a `Warning` header: what keeps the upstream from confirming it. */
  readonly warning: string | undefined;
}

/** The upstream's own answer: it has nothing to do with what is kept. To be read to the end or cancelled. */
export interface PassedUrl {
  readonly kind: 'through';
  readonly response: UrlResponse;
}
