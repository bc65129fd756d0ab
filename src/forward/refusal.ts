import type { Socket } from 'node:net';
import { HttpError, type HttpErrorCode } from '../net/index.ts';
import { endSocketWith, type RequestContext, replyRefusal, TextRefusal } from '../server/index.ts';

const STATUS_OF: Readonly<Partial<Record<HttpErrorCode, number>>> = { forbidden: 403, timeout: 504, idle: 504 };

/** The refusal that answers a failure; undefined for a defect of this server, whose details stay in the log. */
export function toTextRefusal(error: unknown): TextRefusal | undefined {
  if (error instanceof TextRefusal) return error;
  return error instanceof HttpError ? new TextRefusal(STATUS_OF[error.code] ?? 502, error.explanation) : undefined;
}

/** Refuses a CONNECT. The answer repeats nothing that the client sent (CVE-2025-62168). */
export function refuseTunnel(socket: Socket, { status, message, headers }: TextRefusal): void {
  const body = `${message}\n`;
  endSocketWith(socket, { status, headers: { 'Content-Type': 'text/plain; charset=utf-8', ...headers }, body });
}

/** Refuses a request and closes its connection. */
export function refuseForward(context: RequestContext, refusal: TextRefusal): void {
  context.response.shouldKeepAlive = false;
  replyRefusal(context, refusal);
}
