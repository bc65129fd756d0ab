import type { Duplex } from 'node:stream';
import { type ErrorCode, OciError } from '../../oci/index.ts';
import { STATUS_CODES } from '../exchange/index.ts';

/** How long a refused client may go on sending before it is cut: closing at once would reset the answer away. */
const LINGER_MS = 500;

/**
 * Answers on a bare socket, where there is no response object (what came was no request, or no request we take), in the
 * protocol's own form, and closes. Nothing of what was sent is repeated in the answer.
 */
export function refuseOnSocket(socket: Duplex, error: OciError): void {
  endSocketWith(socket, formatRefusal(error));
}

/** Says one last thing on a socket and closes it, but not before the other side could read it. */
export function endSocketWith(socket: Duplex, answer: string): void {
  // Bytes that follow the first wrong one are wrong too, and would be refused again.
  if (socket.writableEnded || socket.destroyed) return;
  socket.on('error', () => {});
  if (!socket.writable) {
    socket.destroy();
    return;
  }
  socket.end(answer);
  const timer = setTimeout(() => socket.destroy(), LINGER_MS);
  timer.unref();
  socket.once('close', () => clearTimeout(timer));
}

/** The whole answer as it goes over the wire. */
export function formatRefusal(error: OciError): string {
  const body = error.toBody();
  const head = [
    `HTTP/1.1 ${error.status} ${STATUS_CODES[error.status] ?? 'Error'}`,
    'Connection: close',
    'Content-Type: application/json',
    `Content-Length: ${Buffer.byteLength(body)}`,
    'Docker-Distribution-Api-Version: registry/2.0',
  ];
  for (const [name, value] of Object.entries(error.headers)) head.push(`${name}: ${value}`);
  return `${head.join('\r\n')}\r\n\r\n${body}`;
}

/** What a client is told about bytes that Node's parser refused, by the code of the error. */
export function refusalOf(code: string | undefined): OciError {
  switch (code) {
    case 'HPE_HEADER_OVERFLOW':
      return refusal('UNSUPPORTED', 431, 'the request head is larger than this server takes');
    case 'HPE_CHUNK_EXTENSIONS_OVERFLOW':
      return refusal('SIZE_INVALID', 413, 'the chunk extensions are larger than this server takes');
    case 'ERR_HTTP_REQUEST_TIMEOUT':
      return refusal('UNSUPPORTED', 408, 'the request did not arrive in time');
    default:
      return refusal('UNSUPPORTED', 400, 'this is not an HTTP request');
  }
}

/** An error of the protocol's form with a status of its own. */
export function refusal(code: ErrorCode, status: number, message: string): OciError {
  return new OciError(code, message, { status });
}
