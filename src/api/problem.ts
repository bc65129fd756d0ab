import { OciError } from '../oci/index.ts';
import { type Headers, type RequestContext, replyBytes, STATUS_CODES } from '../server/index.ts';

/** One fault of an input: `pointer` into a body (RFC 6901), or the name of a query parameter. */
export interface InputFault {
  readonly pointer?: string;
  readonly parameter?: string;
  readonly detail: string;
}

interface ProblemOptions {
  readonly errors?: readonly InputFault[];
  /** Seconds. */
  readonly retryAfter?: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly cause?: unknown;
}

/** A request of the API that is refused. The message is for the client, and ends with the remedy. */
export class ApiProblem extends Error {
  override readonly name = 'ApiProblem';
  readonly status: number;
  readonly errors: readonly InputFault[] | undefined;
  readonly retryAfter: number | undefined;
  readonly headers: Readonly<Record<string, string>>;

  constructor(status: number, message: string, { errors, retryAfter, headers = {}, cause }: ProblemOptions = {}) {
    super(message, cause === undefined ? undefined : { cause });
    this.status = status;
    this.errors = errors;
    this.retryAfter = retryAfter;
    this.headers = headers;
  }
}

/** What every answer of the API has: no page may read, frame or execute it, and no cache keeps it. */
export const SECURITY_HEADERS: Headers = {
  'cache-control': 'no-store',
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
  'cross-origin-resource-policy': 'same-origin',
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
};

/** Characters of the text of a problem: what a client sent may be quoted in it. */
const MAX_DETAIL = 2000;

/** Answers with a problem document (RFC 9457); where the answer has begun, the connection is cut. */
export function replyProblem(context: RequestContext, problem: ApiProblem): void {
  const { response } = context;
  const { status, errors, retryAfter, headers } = problem;
  const detail = problem.message.slice(0, MAX_DETAIL);
  context.error = detail;
  if (response.headersSent) {
    response.destroy();
    return;
  }
  const title = STATUS_CODES[status] ?? 'Error';
  const body = { type: 'about:blank', title, status, detail, ...(errors === undefined ? {} : { errors }) };
  const own = { ...SECURITY_HEADERS, 'content-type': 'application/problem+json' };
  const wait = retryAfter === undefined ? {} : { 'retry-after': Math.max(1, Math.ceil(retryAfter)) };
  replyBytes(context, status, { ...own, ...wait, ...headers }, JSON.stringify(body));
}

/** The problem of an error that a request met on its way; undefined for a defect of this server. */
export function problemOf(error: unknown): ApiProblem | undefined {
  if (error instanceof ApiProblem) return error;
  if (!(error instanceof OciError)) return undefined;
  const { status, message, retryAfter, headers } = error;
  return new ApiProblem(status, message, {
    ...(retryAfter === undefined ? {} : { retryAfter }),
    headers,
    cause: error,
  });
}
