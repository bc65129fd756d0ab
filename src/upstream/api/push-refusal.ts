import type { HttpReply } from '../../net/index.ts';
import type { PushRefusal } from '../../oci/index.ts';
import { answerFailure, describeExchange, parseErrorCode, parseRetryAfter, UpstreamError } from '../error.ts';
import { parseJsonObject } from '../json.ts';
import type { Upstream } from '../upstream.ts';
import type { PushRequest, UpstreamResponse } from '../upstream-request.ts';

const MAX_MESSAGE = 300;

/** What follows a scheme of authentication, and long texts in Base64: servers have been seen to echo what they got (CVE-2025-62168). */
const SECRET = /\b(?:basic|bearer|token)[\s:=]+\S+|\beyJ[\w.~+/=-]{16,}|(?<![a-f0-9:])[\w~+/=-]{40,}/gi;
const DIGEST = /^(?:sha256:)?[a-f0-9]{64}$|^(?:sha512:)?[a-f0-9]{128}$/;
const CONTROL = /[\p{Cc}\p{Cf}\u2028\u2029]+/gu;

/** The failure that an unwanted answer to a push means, with what the upstream says of it. */
export function pushRefused(
  upstream: Upstream,
  request: PushRequest,
  answer: UpstreamResponse<HttpReply>,
): UpstreamError {
  const { reply, url, redirected } = answer;
  const { status, headers, body } = reply;
  const exchange = describeExchange(request.method, url);
  const code = parseErrorCode(body)?.toUpperCase();
  const failure = answerFailure({
    upstream: upstream.name,
    exchange,
    status,
    headers,
    code,
    redirected,
    now: Date.now(),
  });
  // The body was on its way when the token was refused. The next request has another one.
  const isSpent = status === 401 && request.body?.isSpent === true;
  const isUnfollowed = status >= 300 && status < 400;
  return new UpstreamError(failure.message, {
    kind: isSpent ? 'unavailable' : isUnfollowed ? 'invalid' : failure.kind,
    upstream: upstream.name,
    status,
    retryAfter: isSpent ? 1 : parseRetryAfter(headers['retry-after'], Date.now()),
    redirected,
    said:
      isSpent || isUnfollowed
        ? undefined
        : { status, code, message: messageIn(body), range: rangeOf(headers['range']) },
  });
}

/** The first message of an error body, fit for another client's eyes. */
function messageIn(body: Buffer): PushRefusal['message'] {
  const errors = parseJsonObject(body)?.['errors'];
  const first: unknown = Array.isArray(errors) ? errors[0] : undefined;
  const message: unknown = typeof first === 'object' && first !== null ? (first as { message?: unknown }).message : '';
  if (typeof message !== 'string') return undefined;
  const plain = message
    .slice(0, 4 * MAX_MESSAGE)
    .replace(CONTROL, ' ')
    .replace(SECRET, hide)
    .trim();
  return plain === '' ? undefined : plain.slice(0, MAX_MESSAGE);
}

function hide(text: string): string {
  return DIGEST.test(text) ? text : '…';
}

/** `0-99` of a `Range`, which old registries write with a unit; `0--1` stands for no bytes. */
export function rangeOf(header: string | undefined): string | undefined {
  return /^(?:bytes=)?(\d{1,15}-(?:\d{1,15}|-1))$/.exec(header?.trim() ?? '')?.[1];
}
