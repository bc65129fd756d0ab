/** The error codes of the specification, with the status that each is answered with. */
export const ERROR_CODES = {
  BLOB_UNKNOWN: 404,
  BLOB_UPLOAD_INVALID: 400,
  BLOB_UPLOAD_UNKNOWN: 404,
  DENIED: 403,
  DIGEST_INVALID: 400,
  LOOP_DETECTED: 508,
  MANIFEST_BLOB_UNKNOWN: 400,
  MANIFEST_UNKNOWN: 404,
  MANIFEST_INVALID: 400,
  NAME_INVALID: 400,
  NAME_UNKNOWN: 404,
  PAGINATION_NUMBER_INVALID: 400,
  RANGE_INVALID: 416,
  SIZE_INVALID: 400,
  TOOMANYREQUESTS: 429,
  UNAUTHORIZED: 401,
  UNAVAILABLE: 503,
  UNKNOWN: 500,
  UNSUPPORTED: 405,
} as const satisfies Record<string, number>;

export type ErrorCode = keyof typeof ERROR_CODES;

export interface OciErrorOptions {
  /** @default the status of the code */
  readonly status?: number;
  /** Seconds for the `Retry-After` header. */
  readonly retryAfter?: number;
  /** More headers of the answer, by lower-case names (`allow` of a 405, `content-range` of a 416). */
  readonly headers?: Readonly<Record<string, string>>;
  readonly cause?: unknown;
}

/** An error in the form of the registry API, for the client (distribution-spec, "Error codes"). */
export class OciError extends Error {
  override readonly name = 'OciError';
  readonly code: ErrorCode;
  readonly status: number;
  readonly retryAfter: number | undefined;
  readonly headers: Readonly<Record<string, string>>;

  constructor(code: ErrorCode, message: string, options: OciErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.status = options.status ?? ERROR_CODES[code];
    this.retryAfter = options.retryAfter;
    this.headers = options.headers ?? {};
  }

  /** The body of the answer: `{"errors":[{"code","message"}]}`. */
  toBody(): string {
    return JSON.stringify({ errors: [{ code: this.code, message: this.message }] });
  }
}

/** The answer to a request that goes round in a circle (RFC 5842, section 7.2). Another client's may not, so no cache keeps it. */
export function loopDetected(message: string, cause?: unknown): OciError {
  return new OciError('LOOP_DETECTED', message, { headers: { 'cache-control': 'no-store' }, cause });
}

/** The answer to a Range that lies behind the end of a blob (RFC 9110, section 15.5.17). */
export function rangeInvalid(size: number | undefined): OciError {
  return new OciError('RANGE_INVALID', `the blob has ${size ?? 'fewer'} bytes`, {
    headers: size === undefined ? {} : { 'content-range': `bytes */${size}` },
  });
}
