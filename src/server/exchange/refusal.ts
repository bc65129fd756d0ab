import type { RequestContext } from './context.ts';
import { type Headers, replyBytes } from './reply.ts';

/** A refusal that the client gets as plain text: a status and a sentence. Mirror routes and the forward proxy answer so. */
export class TextRefusal extends Error {
  override readonly name: string = 'TextRefusal';
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;

  constructor(status: number, message: string, headers: Readonly<Record<string, string>> = {}) {
    super(message);
    this.status = status;
    this.headers = headers;
  }
}

/** Answers with the sentence; where an answer has begun, the connection is cut. */
export function replyRefusal(context: RequestContext, { status, message, headers }: TextRefusal): void {
  const { response, isReading } = context;
  context.error = message;
  if (response.headersSent) {
    response.destroy();
    return;
  }
  // A body that is not read may still be on its way.
  const own: Headers = { 'content-type': 'text/plain; charset=utf-8', ...(isReading ? {} : { connection: 'close' }) };
  replyBytes(context, status, { ...own, ...headers }, `${message}\n`);
}
