import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Fault, Occasion } from './faults.ts';
import type { RecordedRequest } from './journal.ts';

/** One request on its way to an answer. */
export interface Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly url: URL;
  readonly record: RecordedRequest;
  /** What goes wrong on this occasion; ask once for each. */
  meet(occasion: Occasion): Fault;
  /** Resolves when the answer is out or the connection gone. */
  readonly closed: Promise<void>;
}

export interface Body {
  readonly mediaType: string;
  readonly bytes: Buffer;
  /** Told in `Docker-Content-Digest`; a CDN tells none. */
  readonly digest?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** @default true */
  readonly ranges?: boolean;
}

const CHUNK = 64 * 1024;

/** Answers with content, as a well-behaved registry would, and with whatever the fault has in mind. */
export async function sendContent(exchange: Exchange, body: Body): Promise<void> {
  const { request, response, record } = exchange;
  const fault = exchange.meet('content');
  const size = body.bytes.length;
  const range = body.ranges === false || fault.ignoreRange ? 'whole' : readRange(request.headers.range, size);
  if (range === 'unsatisfiable') {
    return sendStatus(exchange, 416, { headers: { 'content-range': `bytes */${size}` }, code: 'RANGE_INVALID' });
  }
  const [asked, end] = range === 'whole' ? [0, size] : range;
  const start = range === 'whole' ? 0 : Math.min(asked + (fault.shifted ?? 0), end - 1);
  record.status = range === 'whole' ? 200 : 206;

  response.setHeader('content-type', body.mediaType);
  if (body.ranges !== false) response.setHeader('accept-ranges', 'bytes');
  if (body.digest !== undefined) response.setHeader('docker-content-digest', body.digest);
  for (const [name, value] of Object.entries(body.headers ?? {})) response.setHeader(name, value);
  if (range !== 'whole') response.setHeader('content-range', `bytes ${start}-${end - 1}/${size}`);
  const ends = [fault.endAt, fault.endAfter, fault.runsOver];
  const chunked = fault.chunked === true || ends.some((each) => each !== undefined);
  if (!chunked || request.method === 'HEAD') response.setHeader('content-length', fault.contentLength ?? end - start);
  // A length that is a lie leaves the connection unusable for a second request.
  if (fault.contentLength !== undefined) response.setHeader('connection', 'close');
  applyHeaders(response, fault);
  response.writeHead(record.status);
  if (request.method === 'HEAD') {
    response.end();
    return exchange.closed;
  }

  response.flushHeaders();
  await sendBytes(exchange, { bytes: body.bytes, start, end, fault });
}

async function sendBytes(
  exchange: Exchange,
  { bytes, start, end, fault }: { bytes: Buffer; start: number; end: number; fault: Fault },
): Promise<void> {
  const { response, record } = exchange;
  const cutAt = Math.min(
    fault.cutAt !== undefined && start < fault.cutAt ? fault.cutAt : Number.POSITIVE_INFINITY,
    fault.cutAfter === undefined ? Number.POSITIVE_INFINITY : start + fault.cutAfter,
  );
  const last = Math.min(end + (fault.runsOver ?? 0), bytes.length);
  const endAt = Math.min(
    fault.endAt !== undefined && start < fault.endAt ? fault.endAt : last,
    fault.endAfter === undefined ? last : start + fault.endAfter,
    last,
  );
  const stallAt = Math.min(
    fault.stallAt !== undefined && start <= fault.stallAt ? fault.stallAt : Number.POSITIVE_INFINITY,
    fault.stallAfter === undefined ? Number.POSITIVE_INFINITY : start + fault.stallAfter,
  );
  const flipAt = fault.flipAfter === undefined ? fault.flipAt : start + fault.flipAfter;
  const step = fault.bytesPerSecond === undefined ? CHUNK : Math.max(1, Math.min(CHUNK, fault.bytesPerSecond / 20));

  let stalled = false;
  let at = start;
  while (!response.destroyed) {
    if (at >= cutAt) return cut(exchange);
    if (at >= stallAt && !stalled) {
      stalled = true;
      await Promise.race([exchange.closed, fault.stallGate?.pass() ?? exchange.closed]);
      continue;
    }
    if (at >= endAt) break;
    const limit = stalled ? Number.POSITIVE_INFINITY : stallAt;
    const next = Math.min(at + Math.floor(step), endAt, cutAt, limit);
    await write(exchange, flip(bytes.subarray(at, next), { position: at, flipAt }));
    record.bytes += next - at;
    if (fault.line !== undefined) await pause(exchange, fault.line.take(next - at));
    if (fault.bytesPerSecond !== undefined) await pause(exchange, ((next - at) / fault.bytesPerSecond) * 1000);
    at = next;
  }
  if (fault.contentLength !== undefined && fault.contentLength > end - start) return cut(exchange);
  response.end();
  await exchange.closed;
}

/** Breaks the connection. What was written before still arrives. */
export function cut({ response, record }: Exchange): void {
  record.end = 'cut';
  response.socket?.destroy();
}

interface StatusOptions {
  readonly headers?: Readonly<Record<string, string>>;
  /** Code of the error JSON. @default 'UNKNOWN' */
  readonly code?: string;
  /** In place of the error JSON. */
  readonly body?: string;
  readonly mediaType?: string;
}

/** Answers with a status and an error body. */
export async function sendStatus(exchange: Exchange, status: number, options: StatusOptions = {}): Promise<void> {
  const { request, response, record } = exchange;
  record.status = status;
  const json = JSON.stringify({ errors: [{ code: options.code ?? 'UNKNOWN', message: 'as the script says' }] });
  const body = Buffer.from(options.body ?? json);
  response.setHeader('content-type', options.mediaType ?? 'application/json');
  response.setHeader('content-length', body.length);
  for (const [name, value] of Object.entries(options.headers ?? {})) response.setHeader(name, value);
  response.writeHead(status);
  if (request.method === 'HEAD') response.end();
  else {
    record.bytes += body.length;
    response.end(body);
  }
  await exchange.closed;
}

/** Answers with a redirect. */
export function sendRedirect(exchange: Exchange, status: number, location: string): Promise<void> {
  return sendStatus(exchange, status, { headers: { location }, body: '', mediaType: 'text/html' });
}

function applyHeaders(response: ServerResponse, fault: Fault): void {
  for (const [name, value] of Object.entries(fault.headers ?? {})) {
    if (value === null) response.removeHeader(name);
    else response.setHeader(name, value);
  }
}

function flip(chunk: Buffer, { position, flipAt }: { position: number; flipAt: number | undefined }): Buffer {
  if (flipAt === undefined || flipAt < position || flipAt >= position + chunk.length) return chunk;
  const wrong = Buffer.from(chunk);
  wrong.writeUInt8(wrong.readUInt8(flipAt - position) ^ 1, flipAt - position);
  return wrong;
}

function write({ response, closed }: Exchange, chunk: Buffer): Promise<void> {
  const written = new Promise<void>((resolve) => response.write(chunk, () => resolve()));
  return Promise.race([written, closed]);
}

function pause({ closed }: Exchange, milliseconds: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const passed = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, milliseconds);
  });
  return Promise.race([passed, closed]).finally(() => clearTimeout(timer));
}

/** One range of bytes (RFC 9110, section 14); `[start, end)`. Several ranges, or nonsense, mean the whole. */
function readRange(header: string | undefined, size: number): readonly [number, number] | 'whole' | 'unsatisfiable' {
  const match = /^bytes=(\d*)-(\d*)$/.exec(header ?? '');
  if (match === null || (match[1] === '' && match[2] === '')) return 'whole';
  if (match[1] === '') return Number(match[2]) === 0 ? 'unsatisfiable' : [Math.max(0, size - Number(match[2])), size];
  const start = Number(match[1]);
  const end = match[2] === '' ? size : Math.min(size, Number(match[2]) + 1);
  return start >= size || end <= start ? 'unsatisfiable' : [start, end];
}
