/** The error codes of the specification with the status each is answered with, and the sentence used without a better one. */
export const ERROR_CODES = {
  BLOB_UNKNOWN: { status: 404, message: 'blob unknown to registry' },
  DENIED: { status: 403, message: 'requested access to the resource is denied' },
  DIGEST_INVALID: { status: 400, message: 'provided digest is not a sha256 or sha512 digest' },
  MANIFEST_UNKNOWN: { status: 404, message: 'manifest unknown to registry' },
  MANIFEST_INVALID: { status: 400, message: 'manifest invalid' },
  NAME_INVALID: { status: 400, message: 'invalid repository name' },
  NAME_UNKNOWN: { status: 404, message: 'repository name not known to registry' },
  PAGINATION_NUMBER_INVALID: { status: 400, message: 'invalid number of results requested' },
  RANGE_INVALID: { status: 416, message: 'requested range not satisfiable' },
  SIZE_INVALID: { status: 400, message: 'provided length did not match content length' },
  TOOMANYREQUESTS: { status: 429, message: 'too many requests' },
  UNAUTHORIZED: { status: 401, message: 'authentication required' },
  UNAVAILABLE: { status: 503, message: 'upstream registry unavailable' },
  UNKNOWN: { status: 500, message: 'unknown error' },
  UNSUPPORTED: { status: 405, message: 'the operation is unsupported' },
} as const satisfies Record<string, { status: number; message: string }>;

export type ErrorCode = keyof typeof ERROR_CODES;

export interface OciErrorOptions {
  /** Where the situation needs another status than the code's own (a 404 path, a 502 upstream). */
  readonly status?: number;
  /** Anything that helps the reader of the answer; must hold no secret. */
  readonly detail?: unknown;
  /** Seconds for the `Retry-After` header. */
  readonly retryAfter?: number;
  /** More headers of the answer, lower-case names (`allow` of a 405, `content-range` of a 416). */
  readonly headers?: Readonly<Record<string, string>>;
  readonly cause?: unknown;
}

/** An error the client is to see, in the protocol's own form (distribution-spec, "Error codes"). */
export class OciError extends Error {
  override readonly name = 'OciError';
  readonly code: ErrorCode;
  readonly status: number;
  readonly detail: unknown;
  readonly retryAfter: number | undefined;
  readonly headers: Readonly<Record<string, string>>;

  constructor(code: ErrorCode, message?: string, options: OciErrorOptions = {}) {
    super(message ?? ERROR_CODES[code].message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.status = options.status ?? ERROR_CODES[code].status;
    this.detail = options.detail;
    this.retryAfter = options.retryAfter;
    this.headers = options.headers ?? {};
  }

  /** The body of the answer: `{"errors":[{"code","message","detail"}]}`. */
  toBody(): string {
    const error: { code: string; message: string; detail?: unknown } = { code: this.code, message: this.message };
    if (this.detail !== undefined) error.detail = this.detail;
    return JSON.stringify({ errors: [error] });
  }
}
