import type { Duplex } from 'node:stream';
import { OciError } from '../../oci/index.ts';
import { STATUS_CODES } from '../exchange/index.ts';
import { methodRefused } from '../reading.ts';

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
    ...Object.entries(headers).flatMap(([name, value]) => (/^connection$/i.test(name) ? [] : [`${name}: ${value}`])),
  ];
  socket.end(`${head.join('\r\n')}\r\n\r\n${body}`);
  const timer = setTimeout(() => socket.destroy(), LINGER_MS);
  timer.unref();
  socket.once('close', () => clearTimeout(timer));
}

/** An error of Node's HTTP parser. */
export interface ParseError {
  readonly code?: string | undefined;
  /** The bytes in which it occurred, and how many of them the parser took before it. */
  readonly rawPacket?: Buffer | undefined;
  readonly bytesParsed?: number | undefined;
}

/** The answer to bytes that Node's parser refused. */
export function refusalOf(error: ParseError): OciError {
  switch (error.code) {
    case 'HPE_HEADER_OVERFLOW':
      return new OciError('UNSUPPORTED', 'the request head is larger than this server takes', { status: 431 });
    case 'HPE_CHUNK_EXTENSIONS_OVERFLOW':
      return new OciError('SIZE_INVALID', 'the chunk extensions are larger than this server takes', { status: 413 });
    case 'ERR_HTTP_REQUEST_TIMEOUT':
      return new OciError('UNSUPPORTED', 'the request did not arrive in time', { status: 408 });
    case 'HPE_INVALID_VERSION':
    case 'HPE_PAUSED_H2_UPGRADE':
      return new OciError('UNSUPPORTED', 'this server speaks HTTP/1.1 only', { status: 505 });
    case 'HPE_INVALID_METHOD': {
      const method = unknownMethodIn(error);
      if (method !== undefined) return methodRefused(method);
    }
  }
  return new OciError('UNSUPPORTED', 'this is not a valid HTTP request', { status: 400 });
}

/** The method of a request line that is right but for its method, which the parser does not know; any other bytes are no request. */
function unknownMethodIn({ rawPacket, bytesParsed = 0 }: ParseError): string | undefined {
  if (rawPacket === undefined) return undefined;
  // Some letters of the method may have been taken: the line begins behind the line end before it.
  const start = bytesParsed === 0 ? 0 : rawPacket.lastIndexOf(10, bytesParsed - 1) + 1;
  const line = rawPacket.toString('latin1', start, start + MAX_REQUEST_LINE);
  return /^([!#$%&'*+.^_`|~0-9a-z-]{1,64}) [^ \r\n]+ HTTP\/1\.[01]\r?\n/i.exec(line)?.[1];
}

/** Bytes in which a request line must end to be read as one. */
const MAX_REQUEST_LINE = 8192;
