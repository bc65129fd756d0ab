import { trimHeaderText } from '../../lib/index.ts';
import { http2Answer, protocolError } from '../error.ts';

/**
 * The head of a response, parsed strictly: any ambiguity is refused, since two sides that disagree about a reused connection
 * deliver one request's response to another.
 */
export interface ResponseHead {
  readonly status: number;
  readonly httpVersion: '1.0' | '1.1';
  /** Lower-case names; repeated headers joined by `, `. A null-prototype object. */
  readonly headers: Readonly<Record<string, string>>;
  /** Name and value alternate, in the order and spelling received. */
  readonly rawHeaders: readonly string[];
  /** Each `Set-Cookie` by itself. */
  readonly setCookies: readonly string[];
  /** False for HTTP/1.0 and for `Connection: close`. */
  readonly keepAlive: boolean;
  readonly body: BodyShape;
}

/** How the body ends (RFC 9112 §6.3). */
export type BodyShape =
  | { readonly kind: 'length'; readonly length: number }
  | { readonly kind: 'chunked' }
  | { readonly kind: 'until-close' };

export const MAX_HEAD_BYTES = 32 * 1024;
export const MAX_HEADERS = 200;
const REPEATED_LENGTH = 'the head has more than one Content-Length';
const TOO_LARGE = `the head is larger than ${MAX_HEAD_BYTES} bytes`;

/** The reason phrase and its space may be missing: well-known servers leave them out. */
const STATUS_LINE = /^HTTP\/1\.([01]) ([1-5]\d\d)(?: [\t\x20-\x7e\x80-\xff]*)?$/;
// White space before the value is stripped later: matched here it would be ambiguous, and a long run of it before a refused
// character would take quadratic time.
const FIELD_LINE = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+):([\t\x20-\x7e\x80-\xff]*)$/;
/** Empty elements of a list are allowed (RFC 9110 §5.6.1.2). */
const TOKEN = /^[!#$%&'*+.^_`|~0-9a-z-]*$/;
const BEGIN_OF_HEAD = 'HTTP/1.';
const END_OF_HEAD = Buffer.from('\r\n\r\n');

/**
 * Collects bytes until a head is complete. One reader reads several heads in turn: the 1xx responses, then the final one.
 */
export class HeadReader {
  #kept: Buffer | undefined;
  #length = 0;

  /**
   * Takes bytes, and returns how many of them belong to the head, and the head's text once it is complete.
   *
   * Throws HttpError `protocol` where the head exceeds {@link MAX_HEAD_BYTES}. Kept bytes are copied.
   */
  push(bytes: Buffer): { readonly used: number; readonly head: string | undefined } {
    if (this.#kept === undefined) {
      // Checked at the first bytes: a server of another protocol may send no more, and we would wait for the rest.
      const begin = bytes.toString('latin1', 0, BEGIN_OF_HEAD.length);
      if (isHttp2Frame(bytes)) throw http2Answer();
      if (!BEGIN_OF_HEAD.startsWith(begin)) throw protocolError('the first line is no HTTP/1.1 status line');
      // A head nearly always arrives in one piece, and then nothing is copied.
      const end = bytes.indexOf(END_OF_HEAD);
      if (end !== -1 && end + 4 <= MAX_HEAD_BYTES) return { used: end + 4, head: bytes.toString('latin1', 0, end) };
      if (bytes.length >= MAX_HEAD_BYTES) throw protocolError(TOO_LARGE);
      this.#kept = Buffer.allocUnsafe(MAX_HEAD_BYTES);
    }
    const before = this.#length;
    const copied = bytes.copy(this.#kept, before);
    this.#length += copied;
    const end = this.#kept.subarray(0, this.#length).indexOf(END_OF_HEAD, Math.max(0, before - 3));
    if (end === -1) {
      // Refused at once: a server that ends its lines by LF alone never sends the end of a head, and we would wait for it.
      if (hasBareLineFeed(this.#kept.subarray(0, this.#length), before))
        throw protocolError('a line ends without a CR');
      if (this.#length >= MAX_HEAD_BYTES) throw protocolError(TOO_LARGE);
      return { used: copied, head: undefined };
    }
    const head = this.#kept.toString('latin1', 0, end);
    this.#kept = undefined;
    this.#length = 0;
    return { used: end + 4 - before, head };
  }
}

const CR = 13;
const LF = 10;

/** Whether a line feed from an offset on has no carriage return before it (RFC 9112 §2.2). */
function hasBareLineFeed(bytes: Buffer, from: number): boolean {
  for (let at = bytes.indexOf(LF, from); at !== -1; at = bytes.indexOf(LF, at + 1)) {
    if (bytes[at - 1] !== CR) return true;
  }
  return false;
}

const SETTINGS = 4;
const GOAWAY = 7;

/**
 * Whether the bytes begin with a frame of HTTP/2: SETTINGS, the first that a server sends, or the GOAWAY by which it refuses
 * a request of HTTP/1.1 (RFC 9113 §3.4, §4.1). Both are short, and belong to stream 0.
 */
function isHttp2Frame(bytes: Buffer): boolean {
  const [high, middle, , type] = bytes;
  const isShort = high === 0 && middle === 0;
  return isShort && (type === SETTINGS || type === GOAWAY) && bytes.subarray(5, 9).every((byte) => byte === 0);
}

/**
 * Parses the text of a head, without the empty line that ends it. Throws HttpError `protocol`.
 *
 * `method` is the request's: a response to HEAD has no body (RFC 9110 §9.3.2).
 */
export function parseResponseHead(text: string, method: string): ResponseHead {
  const lines = text.split('\r\n', MAX_HEADERS + 2);
  const status = STATUS_LINE.exec(lines[0] ?? '');
  if (status === null) throw protocolError('the first line is no HTTP/1.1 status line');
  if (lines.length > MAX_HEADERS + 1) throw protocolError(`the head has more than ${MAX_HEADERS} headers`);
  const headers: Record<string, string> = Object.create(null) as Record<string, string>;
  const rawHeaders: string[] = [];
  const setCookies: string[] = [];
  for (let i = 1; i < lines.length; i++) {
    const [spelling, value] = parseFieldLine(lines[i] ?? '', `header line ${i}`);
    const name = spelling.toLowerCase();
    rawHeaders.push(spelling, value);
    if (name === 'set-cookie') setCookies.push(value);
    const earlier = headers[name];
    // Equal ones might be joined (RFC 9110 §8.6), but parsers that refuse them stand between here and the server.
    if (name === 'content-length' && earlier !== undefined) throw protocolError(REPEATED_LENGTH);
    headers[name] = earlier === undefined ? value : `${earlier}, ${value}`;
  }
  const code = Number(status[2]);
  const minor = status[1] === '0' ? 0 : 1;
  const options = tokensOf(headers['connection']);
  return {
    status: code,
    httpVersion: minor === 1 ? '1.1' : '1.0',
    headers,
    rawHeaders,
    setCookies,
    keepAlive: minor === 1 && !options.includes('close'),
    body: bodyShape(headers, { status: code, minor, method }),
  };
}

function bodyShape(
  headers: Readonly<Record<string, string>>,
  { status, minor, method }: { readonly status: number; readonly minor: number; readonly method: string },
): BodyShape {
  const encoding = headers['transfer-encoding'];
  const length = headers['content-length'] === undefined ? undefined : parseLength(headers['content-length']);
  if (encoding !== undefined) {
    // Both at once indicates request smuggling, and HTTP/1.0 has no transfer codings (RFC 9112 §6.1).
    if (length !== undefined) throw protocolError('the head has both Content-Length and Transfer-Encoding');
    if (minor === 0) throw protocolError('Transfer-Encoding in an HTTP/1.0 response');
    if (encoding.toLowerCase() !== 'chunked')
      throw protocolError('a Transfer-Encoding other than chunked was not asked for');
  }
  if (method === 'HEAD' || status < 200 || status === 204 || status === 304) return { kind: 'length', length: 0 };
  if (encoding !== undefined) return { kind: 'chunked' };
  return length === undefined ? { kind: 'until-close' } : { kind: 'length', length };
}

/**
 * Parses a line of a head or a trailer, without its CR LF.
 *
 * @param place what the line is, for the message
 * @returns the name as it was spelled, and the value without the white space around it
 * @throws {HttpError} `protocol`
 */
export function parseFieldLine(line: string, place: string): readonly [name: string, value: string] {
  const field = FIELD_LINE.exec(line);
  if (field === null) throw protocolError(`${place} is malformed (${faultOf(line)})`);
  return [field[1] ?? '', trimHeaderText(field[2] ?? '')];
}

/** Anything but digits is refused: `+5`, `5 5`, `5, 5`, `0x5`, an empty value. */
function parseLength(value: string): number {
  if (!/^\d{1,16}$/.test(value)) throw protocolError('Content-Length is not a number of bytes');
  const length = Number(value);
  if (!Number.isSafeInteger(length)) throw protocolError('Content-Length is not a number of bytes');
  return length;
}

/** The options of `Connection`. One that is no token may mean `close` to another parser, so it is refused. */
function tokensOf(value: string | undefined): readonly string[] {
  if (value === undefined) return [];
  const options = value.split(',').map((each) => trimHeaderText(each).toLowerCase());
  if (!options.every((each) => TOKEN.test(each))) throw protocolError('Connection lists what is no header name');
  return options;
}

function faultOf(line: string): string {
  if (line.startsWith(' ') || line.startsWith('\t')) return 'it continues the line before, which HTTP no longer allows';
  if (line.includes('\n') || line.includes('\r') || line.includes('\0')) return 'a bare CR, LF or NUL';
  if (/^[^:]*[\t ]:/.test(line)) return 'white space before the colon';
  return line.includes(':') ? 'a character that no header can hold' : 'no colon';
}
