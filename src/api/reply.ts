import { hash } from 'node:crypto';
import { type RequestContext, replyBytes, replyEmpty } from '../server/index.ts';
import { ApiProblem, SECURITY_HEADERS } from './problem.ts';

/** Bytes of one answer. The longest list has 500 entries, or ten thousand evicted blobs. */
const MAX_ANSWER = 32 * 1024 * 1024;

interface ReplyOptions {
  /** More headers, lower-case names. */
  readonly headers?: Readonly<Record<string, string>>;
}

/** Answers with JSON; with 304 where the client has the same already. */
export function answerJson(context: RequestContext, value: unknown, { headers = {} }: ReplyOptions = {}): void {
  const body = JSON.stringify(value);
  if (body.length > MAX_ANSWER) throw new Error(`the answer has ${body.length} characters, more than is sent at once`);
  const own = { ...SECURITY_HEADERS, ...headers };
  if (!context.isReading) return replyBytes(context, 200, { ...own, 'content-type': 'application/json' }, body);
  const etag = `W/"${hash('sha256', body, 'base64url').slice(0, 22)}"`;
  if (hasTag(context.request.headers['if-none-match'], etag)) return replyEmpty(context, 304, { ...own, etag });
  replyBytes(context, 200, { ...own, etag, 'content-type': 'application/json' }, body);
}

/** `If-None-Match` (RFC 9110, section 13.1.2), compared weakly. */
function hasTag(header: string | undefined, etag: string): boolean {
  if (header === undefined) return false;
  const opaque = etag.slice(2);
  return header.split(',').some((each) => ['*', etag, opaque].includes(each.trim()));
}

/** @throws {ApiProblem} 405, with the methods of the path */
export function requireMethod(context: RequestContext, methods: readonly string[]): void {
  if (!methods.includes(context.isHead ? 'GET' : context.method)) throw methodRefused(context, methods);
}

/** @param methods HEAD is wherever GET is */
export function methodRefused({ method, isReading }: RequestContext, methods: readonly string[]): ApiProblem {
  const allowed = methods.flatMap((each) => (each === 'GET' ? ['GET', 'HEAD'] : [each])).join(', ');
  return new ApiProblem(405, `${method.slice(0, 20)} is not a method of this path; it takes ${allowed}`, {
    headers: { allow: allowed, ...(isReading ? {} : { connection: 'close' }) },
  });
}
