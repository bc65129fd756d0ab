import type { IncomingMessage } from 'node:http';

/** Whether the head of a request announces a body (RFC 9112 §6.3). A body in chunks may turn out to have none. */
export function hasBody({ headers }: IncomingMessage): boolean {
  return headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) !== 0;
}

/** Milliseconds in which a body in chunks must have ended. Clients that send one without bytes end it with the head. */
const EMPTY_BODY_WITHIN = 2_000;

/**
 * Whether a request has a body that ends without a byte: some clients and proxies send every GET in chunks. What follows a
 * first byte stays in the socket.
 */
export function isBodyEmpty(request: IncomingMessage): Promise<boolean> {
  if (request.headers['transfer-encoding'] === undefined || request.headers.expect !== undefined) {
    return Promise.resolve(!hasBody(request));
  }
  return new Promise((resolve) => {
    const settle = (isEmpty: boolean): void => {
      clearTimeout(timer);
      request.off('readable', look);
      resolve(isEmpty);
    };
    const look = (): void => {
      if (request.read() !== null) settle(false);
    };
    const timer = setTimeout(() => settle(false), EMPTY_BODY_WITHIN);
    request.on('readable', look);
    request.once('end', () => settle(true));
    request.once('close', () => settle(false));
  });
}
