import { connect } from 'node:net';

/** What came back, byte for byte, and whether it was all that was announced. */
export interface RawResponse {
  readonly status: number;
  readonly reason: string;
  /** Names in lower case; a repeated header is joined with a comma. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
  /** True where the body ended as its framing promised; false where the connection broke off before. */
  readonly whole: boolean;
}

export interface RawRequest {
  /** @default 'GET' */
  readonly method?: string;
  /** Sent as it stands: nothing is normalised or encoded. */
  readonly path: string;
  /** `host` and `connection: close` are added unless given; null leaves one out. */
  readonly headers?: Readonly<Record<string, string | null>>;
  readonly body?: string | Buffer;
  /** Milliseconds until it gives up. @default 30000 */
  readonly timeout?: number;
}

/** One HTTP/1.1 request over a connection of its own, without a client that would tidy it up. */
export async function rawRequest(address: string, request: RawRequest): Promise<RawResponse> {
  const headers = { host: address, connection: 'close', ...request.headers };
  const lines = Object.entries(headers).flatMap(([name, value]) => (value === null ? [] : [`${name}: ${value}`]));
  const head = [`${request.method ?? 'GET'} ${request.path} HTTP/1.1`, ...lines, '', ''].join('\r\n');
  const body = typeof request.body === 'string' ? Buffer.from(request.body) : (request.body ?? Buffer.alloc(0));
  const bytes = await sendBytes(address, Buffer.concat([Buffer.from(head), body]), request);
  return parseResponse(bytes, { head: request.method === 'HEAD' });
}

/** Sends bytes and returns all that comes until the other side closes, or breaks off. */
export function sendBytes(
  address: string,
  bytes: string | Uint8Array,
  { timeout = 30_000 }: { timeout?: number } = {},
): Promise<Buffer> {
  const { hostname, port } = new URL(`http://${address}`);
  return new Promise((resolve, reject) => {
    const received: Buffer[] = [];
    const socket = connect({ host: hostname, port: Number(port) });
    const timer = setTimeout(
      () => socket.destroy(new Error(`Cannot wait for ${address} for more than ${timeout} ms`)),
      timeout,
    );
    let failure: Error | undefined;
    socket.on('connect', () => socket.write(bytes));
    socket.on('data', (chunk: Buffer) => received.push(chunk));
    socket.on('error', (error: NodeJS.ErrnoException) => (failure = error));
    socket.on('close', () => {
      clearTimeout(timer);
      const reset = failure !== undefined && 'code' in failure && failure.code === 'ECONNRESET';
      if (failure !== undefined && !(reset && received.length > 0)) reject(failure);
      else resolve(Buffer.concat(received));
    });
  });
}

/** Reads one response (RFC 9112); what follows it is ignored. */
export function parseResponse(bytes: Buffer, { head = false }: { head?: boolean } = {}): RawResponse {
  const end = bytes.indexOf('\r\n\r\n');
  if (end < 0)
    throw new SyntaxError(`Cannot find a response in ${bytes.length} bytes: ${bytes.toString('latin1', 0, 200)}`);
  const [statusLine = '', ...lines] = bytes.subarray(0, end).toString('latin1').split('\r\n');
  const match = /^HTTP\/1\.[01] (\d{3}) ?(.*)$/.exec(statusLine);
  if (match === null) throw new SyntaxError(`Cannot read the status line ${statusLine}`);
  const headers: Record<string, string> = {};
  for (const line of lines) {
    const colon = line.indexOf(':');
    const name = line.slice(0, colon).toLowerCase();
    const value = line.slice(colon + 1).trim();
    headers[name] = name in headers ? `${headers[name]}, ${value}` : value;
  }
  const status = Number(match[1]);
  const rest = bytes.subarray(end + 4);
  const bodiless = head || status === 204 || status === 304;
  const { body, whole } = bodiless ? { body: rest, whole: rest.length === 0 } : readBody(rest, headers);
  return { status, reason: match[2] ?? '', headers, body, whole };
}

function readBody(rest: Buffer, headers: Readonly<Record<string, string>>): { body: Buffer; whole: boolean } {
  if (headers['transfer-encoding'] === 'chunked') return readChunks(rest);
  const length = headers['content-length'];
  // Without a length the end of the connection is the end of the body.
  if (length === undefined) return { body: rest, whole: true };
  return { body: rest.subarray(0, Number(length)), whole: rest.length >= Number(length) };
}

function readChunks(rest: Buffer): { body: Buffer; whole: boolean } {
  const chunks: Buffer[] = [];
  let at = 0;
  for (;;) {
    const lineEnd = rest.indexOf('\r\n', at);
    if (lineEnd < 0) return { body: Buffer.concat(chunks), whole: false };
    const size = Number.parseInt(rest.subarray(at, lineEnd).toString('latin1'), 16);
    if (size === 0) return { body: Buffer.concat(chunks), whole: true };
    chunks.push(rest.subarray(lineEnd + 2, lineEnd + 2 + size));
    at = lineEnd + 2 + size + 2;
    if (!(at <= rest.length)) return { body: Buffer.concat(chunks), whole: false };
  }
}
