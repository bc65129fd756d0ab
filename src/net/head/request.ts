import type { ExactRequest, HttpRequest, RequestBody } from '../http-types.ts';
import { portOf } from '../port.ts';

/** A field name, and a method, is a token (RFC 9110 §5.1, §9.1). */
const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;
/** A field value has no control character but tab, and nothing beyond one byte per character (RFC 9110 §5.5). */
// oxlint-disable-next-line no-control-regex -- it looks for control characters
const NOT_IN_VALUE = /[\x00-\x08\x0a-\x1f\x7f]|[^\x00-\xff]/;
/** Bytes of a body sent from memory; a token request has a few hundred. */
const MAX_REQUEST_BODY_BYTES = 64 * 1024;
/** The targets Node's parser accepts, but without white space. */
const EXACT_TARGET = /^[\x21-\x7e\x80-\xff]+$/;
const REQUEST_TARGET = /^\/[\x21-\x7e]*$/;

const METHOD = /^[A-Z]{1,20}$/;
/** CONNECT is for a forward proxy (RFC 9110 §9.3.6), and TRACE returns a request with its credentials (§9.3.8). */
const NOT_FOR_ORIGINS = new Set(['CONNECT', 'TRACE']);
const BODILESS = new Set(['GET', 'HEAD']);
const WITH_BODY = new Set(['POST', 'PUT', 'PATCH']);
const HOST = /^(?:[A-Za-z0-9._-]{1,255}|\[[0-9A-Fa-f:.]{2,45}\])(?::\d{1,5})?$/;
const EMPTY = Buffer.alloc(0);

/** Whether a request can be sent with this `Host`. Stricter than RFC 3986 §3.2.2, which allows `a,b` and `a%20b`. */
export function isSendableHost(host: string): boolean {
  return HOST.test(host);
}

/** Headers a caller cannot set: they belong to one connection, or are derived from the URL and the body. */
const RESERVED_HEADERS = new Set([
  'connection',
  'content-length',
  'expect',
  'host',
  'http2-settings',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]);

/**
 * The headers to send: the caller's in lower case, with `accept-encoding: identity` and a `user-agent`.
 *
 * Throws TypeError for a name or value that HTTP does not allow (CR and LF among others), and for hop-by-hop headers. The
 * message names the header, never its value.
 */
export function requestHeaders(headers: HttpRequest['headers']): Record<string, string> {
  const result: Record<string, string> = Object.create(null) as Record<string, string>;
  result['user-agent'] = 'entrepot';
  for (const [given, value] of Object.entries(headers)) {
    const name = given.toLowerCase();
    checkHeader(given, value);
    if (RESERVED_HEADERS.has(name))
      throw new TypeError(`The header ${name} is set by the connection and cannot be given`);
    result[name] = value;
  }
  // A layer's digest is that of its stored bytes: an encoded transfer would not match it.
  result['accept-encoding'] = 'identity';
  return result;
}

function checkHeader(name: string, value: string): void {
  if (!TOKEN.test(name)) throw new TypeError(`A header name must be a token, found ${JSON.stringify(name)}`);
  if (NOT_IN_VALUE.test(value)) {
    throw new TypeError(`The value of the header ${name} holds characters no header can hold`);
  }
}

/**
 * The path and query of a request, as they were written or as the URL has them. Throws TypeError for other protocols than HTTP,
 * for userinfo, and for characters no request line can hold.
 */
export function requestTarget(url: URL, target = url.pathname + url.search): string {
  if (url.protocol !== 'http:' && url.protocol !== 'https:') {
    throw new TypeError(`A URL must be http: or https:, found ${url.protocol}`);
  }
  if (url.username !== '' || url.password !== '') {
    throw new TypeError(`The URL of ${url.host} holds a user name or password; send an authorization header instead`);
  }
  if (!REQUEST_TARGET.test(target))
    throw new TypeError(`The path asked of ${url.host} holds characters no request can hold`);
  return target;
}

/**
 * The bytes of a request: the head in latin1, then the body in UTF-8, unless it is streamed. Throws TypeError as the two
 * functions above do, for a body with GET or HEAD, and for one larger than {@link MAX_REQUEST_BODY_BYTES}.
 */
export function requestBytes({
  method,
  url,
  target,
  headers,
  body,
  expectContinue = false,
  host,
}: Pick<HttpRequest, 'method' | 'url' | 'target' | 'headers' | 'body' | 'expectContinue' | 'host'>): Buffer {
  if (!METHOD.test(method) || NOT_FOR_ORIGINS.has(method)) {
    throw new TypeError(`Cannot send a request to ${url.host} with the method ${JSON.stringify(method)}`);
  }
  const streamed = isStreamed(body);
  const content = streamed || body === undefined ? EMPTY : Buffer.from(body as string, 'utf8');
  if (body !== undefined && BODILESS.has(method)) {
    throw new TypeError(`A ${method} to ${url.host} has no body to send; a POST has`);
  }
  if (content.length > MAX_REQUEST_BODY_BYTES) {
    throw new TypeError(`A body of ${content.length} bytes is larger than the ${MAX_REQUEST_BODY_BYTES} that are sent`);
  }
  if (host !== undefined && !isSendableHost(host))
    throw new TypeError('A Host header must be a host, with a port or without');
  let head = `${method} ${requestTarget(url, target)} HTTP/1.1\r\nhost: ${host ?? url.host}\r\n`;
  for (const [name, value] of Object.entries(requestHeaders(headers))) head += `${name}: ${value}\r\n`;
  const length = streamed ? body.length : content.length;
  if (length === undefined) head += 'transfer-encoding: chunked\r\n';
  // RFC 9110 §8.6: a method that may have a body sends Content-Length: 0 without one.
  else if (body !== undefined || WITH_BODY.has(method)) head += `content-length: ${length}\r\n`;
  // A body of no bytes is sent with its head.
  if (expectContinue && streamed && length !== 0) head += 'expect: 100-continue\r\n';
  return Buffer.concat([Buffer.from(`${head}\r\n`, 'latin1'), content]);
}

/**
 * The head of a request forwarded unchanged, in latin1.
 *
 * Throws TypeError for characters HTTP does not allow, and where the headers announce another length than the body's: two
 * servers that disagree on the end of a request would take its body for another request. The message holds names, no values.
 */
export function exactRequestBytes({ method, target, rawHeaders, body }: ExactRequest): Buffer {
  if (!TOKEN.test(method)) throw new TypeError('A method must be a token');
  if (!EXACT_TARGET.test(target)) throw new TypeError('The path holds characters no request can hold');
  let head = `${method} ${target} HTTP/1.1\r\n`;
  const lengths: string[] = [];
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
    const name = rawHeaders[i] ?? '';
    const value = rawHeaders[i + 1] ?? '';
    checkHeader(name, value);
    const lower = name.toLowerCase();
    if (lower === 'transfer-encoding') throw new TypeError('Transfer-Encoding is set by the connection');
    if (lower === 'content-length') lengths.push(value);
    head += `${name}: ${value}\r\n`;
  }
  const length = body === undefined ? 0 : body.length;
  const [announced, another] = lengths;
  const fits = announced === undefined ? length === undefined || body === undefined : Number(announced) === length;
  if (!fits || another !== undefined) throw new TypeError('Content-Length says another length than the body has');
  if (length === undefined) head += 'Transfer-Encoding: chunked\r\n';
  return Buffer.from(`${head}\r\n`, 'latin1');
}

/** True for a body that is streamed after its request. */
export function isStreamed(body: HttpRequest['body']): body is RequestBody {
  return typeof body === 'object' && 'source' in body;
}

/** Host and port, for messages. */
export function authorityOf(url: URL): string {
  return `${url.hostname}:${portOf(url)}`;
}
