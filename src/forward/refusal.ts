import type { Socket } from 'node:net';
import { HttpError, type HttpErrorCode } from '../net/index.ts';
import type { RequestContext } from '../server/index.ts';
import { endSocketWith, OverloadError, replyBytes, STATUS_CODES } from '../server/index.ts';
import { ForwardTargetError } from './target.ts';

/** Why something is not forwarded, as the client is told: a status and a sentence. */
export class ForwardRefusal extends Error {
  override readonly name = 'ForwardRefusal';
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;

  constructor(status: number, message: string, headers: Readonly<Record<string, string>> = {}) {
    super(message);
    this.status = status;
    this.headers = headers;
  }
}

const STATUS_OF: Readonly<Partial<Record<HttpErrorCode, number>>> = { forbidden: 403, timeout: 504, idle: 504 };

/** What a client is told of a failure; undefined where it is our own, of which it is told nothing. */
export function toForwardRefusal(error: unknown): ForwardRefusal | undefined {
  if (error instanceof ForwardRefusal) return error;
  if (error instanceof ForwardTargetError) return new ForwardRefusal(400, error.message);
  if (error instanceof OverloadError) {
    return new ForwardRefusal(error.status, error.message, { 'retry-after': String(error.retryAfter) });
  }
  if (error instanceof HttpError) return new ForwardRefusal(STATUS_OF[error.code] ?? 502, error.message);
  return undefined;
}

/** Answers a CONNECT with why it is not. Only our own words are in it: nothing that came is repeated (CVE-2025-62168). */
export function refuseTunnel(socket: Socket, { status, message, headers }: ForwardRefusal): void {
  const body = `${message}\n`;
  const head = [
    `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? 'Refused'}`,
    'Connection: close',
    'Content-Type: text/plain; charset=utf-8',
    `Content-Length: ${Buffer.byteLength(body)}`,
    ...Object.entries(headers).map(([name, value]) => `${name}: ${value}`),
  ];
  endSocketWith(socket, `${head.join('\r\n')}\r\n\r\n${body}`);
}

/** The same for a request; one whose answer has begun is cut. */
export function refuseForward(context: RequestContext, { status, message, headers }: ForwardRefusal): void {
  context.error = message;
  const { response } = context;
  if (response.headersSent) {
    response.destroy();
    return;
  }
  response.shouldKeepAlive = false;
  replyBytes(context, status, { 'content-type': 'text/plain; charset=utf-8', ...headers }, `${message}\n`);
}
