import { HttpError } from '../net/index.ts';
import type { FailureKind, PushFailure, PushRefusal } from '../oci/index.ts';
import { blockOf, versionRefusalOf } from './blocked.ts';
import { parseJsonObject } from './json.ts';

export interface UpstreamErrorOptions {
  readonly kind: FailureKind;
  /** Name of the upstream. */
  readonly upstream: string;
  /** The status of its answer, where there was one. */
  readonly status?: number | undefined;
  /** Seconds, from `Retry-After`. */
  readonly retryAfter?: number | undefined;
  /** True where a redirect target failed, not the upstream itself. @default false */
  readonly redirected?: boolean;
  /** How it refused a push. */
  readonly said?: PushRefusal | undefined;
  readonly cause?: unknown;
}

/**
 * Why a request to an upstream failed. An abort is none: it rejects with the signal's own reason.
 *
 * The message is for operators: it names origin and path, never a query, a header or the text of an error body, since
 * servers have been seen to echo the `Authorization` they got (CVE-2025-62168).
 */
export class UpstreamError extends Error implements PushFailure {
  override readonly name = 'UpstreamError';
  readonly kind: FailureKind;
  readonly upstream: string;
  readonly status: number | undefined;
  readonly retryAfter: number | undefined;
  readonly redirected: boolean;
  readonly said: PushRefusal | undefined;

  constructor(message: string, options: UpstreamErrorOptions) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.kind = options.kind;
    this.upstream = options.upstream;
    this.status = options.status;
    this.retryAfter = options.retryAfter;
    this.redirected = options.redirected ?? false;
    this.said = options.said;
  }

  /** True where a later request may succeed: the failure says nothing about the content. */
  get temporary(): boolean {
    return this.kind === 'throttled' || this.kind === 'unavailable';
  }
}

export interface FailedAnswer {
  readonly upstream: string;
  /** From {@link describeExchange}. */
  readonly exchange: string;
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  /** The error code in the body, where there was one. */
  readonly code: string | undefined;
  /** The answer came from a redirect target. */
  readonly redirected: boolean;
  /** Milliseconds since the epoch. */
  readonly now: number;
}

/** The failure an answer's status means. */
export function answerFailure(answer: FailedAnswer): UpstreamError {
  const code = answer.code === undefined ? '' : ` ${answer.code}`;
  const where = answer.redirected ? ', where it was redirected to' : '';
  const kind = kindOfAnswer(answer, answer.redirected);
  const why = kind === 'loop' ? `: ${loopText(answer.upstream)}` : reasonIn(answer);
  const message = `${answer.upstream} answered ${answer.status}${code} to ${answer.exchange}${where}${why}`;
  return new UpstreamError(message, {
    kind,
    upstream: answer.upstream,
    status: answer.status,
    retryAfter: parseRetryAfter(answer.headers['retry-after'], answer.now),
    redirected: answer.redirected,
  });
}

/** What the operator of one of several mirrors in a circle can do. */
export function loopText(upstream: string): string {
  return (
    `the request goes in a circle of mirrors. Remove ${upstream} from the upstreams of this server, ` +
    `or the mirror behind ${upstream} that asks this server from its upstreams`
  );
}

/** They refuse the request as such, and will again: the registry has nothing under a name or digest that it cannot read. */
const UNREADABLE: readonly number[] = [400, 405, 406, 409, 414, 415, 422];

/** What the answer says besides its status, with the remedy, as the end of a message. */
function reasonIn(answer: Parameters<typeof blockOf>[0]): string {
  const block = blockOf(answer);
  if (block !== undefined) return `: it was blocked by ${block.by}. ${block.remedy}`;
  const refusal = versionRefusalOf(answer);
  return refusal === undefined ? '' : `: ${refusal.words}. ${refusal.remedy}`;
}

/**
 * What an answer says about the content: {@link kindOfStatus}, but an answer of something that blocks the way says nothing,
 * whatever its status.
 */
export function kindOfAnswer(answer: Parameters<typeof blockOf>[0], redirected = false): FailureKind {
  const kind = kindOfStatus(answer.status, redirected);
  return kind !== 'throttled' && kind !== 'loop' && blockOf(answer) !== undefined ? 'unavailable' : kind;
}

/**
 * What a status says about the content.
 *
 * A storage that refuses a URL which its registry has just signed says nothing about the content: a clock is wrong, the URL
 * has expired, or a region is blocked. So its 4xx are temporary, other than 404 and 410.
 */
export function kindOfStatus(status: number, redirected = false): FailureKind {
  if (status === 404 || status === 410) return 'not-found';
  if (!redirected && UNREADABLE.includes(status)) return 'not-found';
  if (status === 429) return 'throttled';
  if (status === 508) return 'loop';
  if (status === 408 || status >= 500) return 'unavailable';
  if (redirected && status >= 400) return 'unavailable';
  return status === 401 || status === 403 ? 'denied' : 'invalid';
}

/** The failure that a token service's answer means. It can refuse or fail, but its 404 says nothing about the content, and its 508 nothing about the request. */
export function tokenFailure(
  reply: { readonly status: number; readonly headers: Readonly<Record<string, string>> },
  context: { readonly upstream: string; readonly url: URL; readonly now: number },
): UpstreamError {
  const { status, headers } = reply;
  const lacks = status === 200 ? ' without a usable token' : '';
  const kind = kindOfAnswer(reply);
  const what = `${context.upstream}'s token service ${shownUrl(context.url)}`;
  return new UpstreamError(`${what} answered ${status}${lacks}${reasonIn(reply)}`, {
    kind: kind === 'not-found' || kind === 'loop' ? 'invalid' : kind,
    upstream: context.upstream,
    status,
    retryAfter: parseRetryAfter(headers['retry-after'], context.now),
  });
}

/** The failure that a broken exchange means. An error that is no {@link HttpError} is a bug and thrown on. */
export function exchangeFailure(
  error: unknown,
  context: { upstream: string; exchange: string; redirected?: boolean },
): UpstreamError {
  if (!(error instanceof HttpError)) throw error;
  const invalid = error.code === 'too-large' || error.code === 'protocol' || error.code === 'forbidden';
  return new UpstreamError(`${context.upstream} did not answer ${context.exchange}: ${error.explanation}`, {
    kind: invalid ? 'invalid' : 'unavailable',
    upstream: context.upstream,
    redirected: context.redirected ?? false,
    cause: error,
  });
}

/** Method and URL for display. Without the query, which may be a signature. */
export function describeExchange(method: string, url: URL): string {
  return `${method} ${shownUrl(url)}`;
}

/** Origin and path. */
export function shownUrl(url: URL): string {
  return `${url.origin}${url.pathname}`;
}

const MAX_RETRY_AFTER = 86_400;

/** Seconds from a `Retry-After`, which is a number of them or a date (RFC 9110, section 10.2.3); at most a day. */
export function parseRetryAfter(header: string | undefined, now: number): number | undefined {
  if (header === undefined) return undefined;
  const text = header.trim();
  if (/^\d{1,9}$/.test(text)) return Math.min(Number(text), MAX_RETRY_AFTER);
  // Only the three forms of an HTTP date begin with a day's name; Date.parse alone would take "-5" for a year.
  const at = /^[A-Z][a-z]{2,8},? /.test(text) ? Date.parse(text) : Number.NaN;
  if (Number.isNaN(at)) return undefined;
  return Math.min(Math.max(0, Math.ceil((at - now) / 1000)), MAX_RETRY_AFTER);
}

/** The first error code of an error body (distribution-spec, "Error codes"); undefined without one. */
export function parseErrorCode(body: Buffer): string | undefined {
  const errors = parseJsonObject(body)?.['errors'];
  const first: unknown = Array.isArray(errors) ? errors[0] : undefined;
  const code: unknown = typeof first === 'object' && first !== null ? (first as { code?: unknown }).code : undefined;
  return typeof code === 'string' && /^[A-Za-z_]{1,40}$/.test(code) ? code : undefined;
}
