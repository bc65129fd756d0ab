import type { Duplex } from 'node:stream';
import { OciError } from '../../oci/index.ts';
import { STATUS_CODES } from '../exchange/index.ts';

/** Milliseconds that a refused client may go on sending: closing at once would reset the connection and lose the answer. */
const LINGER_MS = 500;

/**
 * Answers in the registry protocol's form on a socket without a response object (the bytes were no request, or none that this
 * server takes), and closes it. The answer repeats nothing that the client sent.
 */
export function refuseOnSocket(socket: Duplex, error: OciError): void {
  const headers = {
    'Content-Type': 'application/json',
    'Docker-Distribution-Api-Version': 'registry/2.0',
    ...error.headers,
  };
  endSocketWith(socket, { status: error.status, headers, body: error.toBody() });
}

/** Writes a last answer on a socket and closes it, after a time in which the client can read it. */
export function endSocketWith(
  socket: Duplex,
  answer: { readonly status: number; readonly headers: Readonly<Record<string, string>>; readonly body: string },
): void {
  // The bytes behind the first wrong one are wrong too, and would be refused again.
  if (socket.writableEnded || socket.destroyed) return;
  socket.on('error', () => {});
  if (!socket.writable) {
    socket.destroy();
    return;
  }
  const { status, headers, body } = answer;
  const head = [
    `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? 'Error'}`,
    'Connection: close',
    `Content-Length: ${Buffer.byteLength(body)}`,
    ...Object.entries(headers).map(([name, value]) => `${name}: ${value}`),
  ];
  socket.end(`${head.join('\r\n')}\r\n\r\n${body}`);
  const timer = setTimeout(() => socket.destroy(), LINGER_MS);
  timer.unref();
  socket.once('close', () => clearTimeout(timer));
}

/** The answer to bytes that Node's parser refused, by the code of its error. */
export function refusalOf(code: string | undefined): OciError {
  switch (code) {
    case 'HPE_HEADER_OVERFLOW':
      return new OciError('UNSUPPORTED', 'the request head is larger than this server takes', { status: 431 });
    case 'HPE_CHUNK_EXTENSIONS_OVERFLOW':
      return new OciError('SIZE_INVALID', 'the chunk extensions are larger than this server takes', { status: 413 });
    case 'ERR_HTTP_REQUEST_TIMEOUT':
      return new OciError('UNSUPPORTED', 'the request did not arrive in time', { status: 408 });
    default:
      return new OciError('UNSUPPORTED', 'this is not an HTTP request', { status: 400 });
  }
}
