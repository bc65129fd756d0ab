import { connect } from 'node:net';
import type { RawRequest } from './raw-server.ts';

/** Chances that come again with the same seed. */
export class Chances {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** A whole number from 0 to below `end` (mulberry32). */
  below(end: number): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), this.#state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * end);
  }

  is(share: number): boolean {
    return this.below(1000) < share * 1000;
  }

  of<T>(list: readonly T[]): T {
    return list[this.below(list.length)] as T;
  }

  /** A text with something taken out, put in or repeated at some place. */
  garbled(text: string): string {
    const at = this.below(text.length + 1);
    const inserted = this.is(0.5) ? String.fromCharCode(this.below(256)) : this.of(ODD);
    return this.of([
      text.slice(0, at),
      text + text,
      text.slice(0, at) + inserted + text.slice(at),
      text.slice(0, at) + text.slice(at + 1 + this.below(4)),
    ]);
  }
}

/** What a header, a query or a piece of a path can be and hardly ever is. */
const ODD = [
  `-1 0 1e308 99999999999999999999 , ;= " "a \\ < //x %zz %00 http:// http://[:: http://x:99999/ data:, __proto__ close
  Bearer sha256: sha256:${'a'.repeat(64)} bytes=5- gzip chunked */* max-age=99999999999999 100;w=1e999 \xff\x80`.split(
    /\s+/,
  ),
  ['', 'a\tb', '<a>; rel="next"', '</v2/x?n=1>; rel=next', 'bytes 0-0/1', 'bytes */0', 'a=b; Domain='],
  ['Bearer realm="', 'Bearer realm="http://[::"', 'Fri, 31 Dec 9999999 23:59:59 GMT'],
  [',', ' ', '"', '\\"', 'a=', '<', ';', '.', '/', 'a-', 'a,b '].map((piece) => piece.repeat(2000)),
].flat();

/** What may stand where JSON has a value. */
const VALUES = [
  'null -1 1e308 1e999 9007199254740993 true "" [] {} [null] [1,"a",{}] {"__proto__":{"x":1}}'.split(' '),
  ['"\\ud800"', '"\\u212a\\r\\nX: y"', '"\\u0000"', '"application/vnd.oci.image.index.v1+json"'],
  '['.repeat(10_000) + ']'.repeat(10_000),
].flat();

const STATUS = [200, 200, 200, 100, 101, 103, 204, 206, 302, 304, 307, 401, 404, 416, 429, 500, 599, 999];
const ANSWER_HEADERS =
  `Location WWW-Authenticate Link Content-Type ETag Docker-Content-Digest Retry-After Content-Range Set-Cookie Content-Length
  Transfer-Encoding Connection Last-Modified Cache-Control RateLimit-Remaining Content-Encoding Vary Age OCI-Filters-Applied
  Warning X\tY __proto__ X-\xff`.split(/[ \n]+/);

/** Answers as a registry, a token service or a site might, and then as none does. */
export function answerHostilely(chances: Chances, { socket, text }: RawRequest, port: number): void {
  const digest = `sha256:${'c'.repeat(64)}`;
  const manifest = { schemaVersion: 2, config: { digest, size: 1 }, layers: [{ digest, size: 2 }] };
  const token = { token: 'abc', expires_in: 300 };
  let body = JSON.stringify(text.includes('/token') ? token : { ...manifest, tags: ['b'], repositories: ['a'] });
  // Some of its values are others.
  const another = (value: string): string => (chances.is(0.2) ? chances.of(VALUES) : value);
  if (chances.is(0.4)) body = body.replace(/(?<=:)(?:"[^"]*"|\d+|\[)/g, another);
  if (chances.is(0.1)) body = chances.of(VALUES);
  const status = chances.is(0.5) ? 200 : chances.of(STATUS);
  const headers = ['Content-Type: application/vnd.oci.image.manifest.v1+json'];
  if (status === 401) headers.push(`WWW-Authenticate: Bearer realm="http://127.0.0.1:${port}/token",service="s"`);
  if (chances.is(0.9)) headers.push(`Content-Length: ${chances.is(0.9) ? Buffer.byteLength(body) : chances.of(ODD)}`);
  for (let more = chances.below(4); more > 0; more--) headers.push(`${chances.of(ANSWER_HEADERS)}: ${chances.of(ODD)}`);
  let answer = `HTTP/1.1 ${status} OK\r\n${headers.join('\r\n')}\r\n\r\n${text.startsWith('HEAD') ? '' : body}`;
  if (chances.is(0.1)) answer = chances.garbled(answer);
  if (!socket.writable) return;
  socket.write(answer, 'latin1');
  const leaves = chances.is(0.3);
  const inOrder = chances.is(0.5);
  if (leaves) setImmediate(() => (inOrder ? socket.end() : socket.resetAndDestroy()));
}

const METHODS = 'GET GET GET HEAD HEAD POST OPTIONS CONNECT get TRACE'.split(' ');
const REQUEST_HEADERS =
  `Range If-Range If-None-Match If-Modified-Since Authorization Proxy-Authorization Accept Expect Connection Upgrade Host Cookie
  X-Forwarded-For X-Forwarded-Host Forwarded Transfer-Encoding Content-Length Origin`.split(/\s+/);
const HOSTS = 'm.test ghcr.io.m.test r1.m.test x a,b a%20b a:99999 1.2.3.999 [::1] [:: xn--a É'.split(' ');
const NAMESPACES = 'r1 docker.io %E2%84%AA8s.gcr.io %C5%BF %0d%0aX:y %00 % [::1] __proto__ a.b:99999 É'.split(' ');
const OWN = '/ /help /metrics /healthz /token /v2 * /%ff http:x http://[:: http://registry.test/v2/'.split(' ');
const REPOSITORIES = ['a', 'a/b', 'A', 'a//b', '%2e%2e', 'a_'.repeat(1000)];
const KINDS = 'manifests/ blobs/ tags/list? referrers/ _catalog? blobs/uploads/'.split(' ');
const FILES = 'a b?c ../x %2e%2e/x %ff É \\ f'.split(' ');

/** The bytes of one request, hardly ever right. */
export function hostileRequest(chances: Chances): Buffer {
  const named = ['latest', `sha256:${'c'.repeat(64)}`, `t${chances.below(20)}`, 'x'.repeat(200), 'É', '..'];
  const registry = `/v2/r${chances.below(30)}/${chances.of(REPOSITORIES)}/${chances.of(KINDS)}${chances.of(named)}`;
  const routed = `/${chances.of(['kept', 'own'])}/${chances.of(FILES)}`;
  let target = chances.of([registry, registry, registry, routed, routed, chances.of(OWN)]);
  if (chances.is(0.3)) target += `?ns=${chances.of(NAMESPACES)}&n=${chances.of(ODD)}`;
  const headers = [`Host: ${chances.is(0.8) ? 'm.test' : chances.of(HOSTS)}`];
  for (let more = chances.below(4); more > 0; more--) {
    headers.push(`${chances.of(REQUEST_HEADERS)}: ${chances.is(0.5) ? chances.of(HOSTS) : chances.of(ODD)}`);
  }
  const head = [`${chances.of(METHODS)} ${target} HTTP/1.1`, ...headers, 'Connection: close', '', ''].join('\r\n');
  return Buffer.from(chances.is(0.05) ? chances.garbled(head) : head, chances.is(0.5) ? 'latin1' : 'utf8');
}

/** Sends bytes, perhaps leaves at once, and resolves when the connection is over; rejects where it is not in time. */
export function hurl(
  port: number,
  bytes: Buffer,
  { leave, within }: { readonly leave: boolean; readonly within: number },
): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1');
    const timer = setTimeout(() => {
      const shown = JSON.stringify(bytes.toString('latin1').slice(0, 2000));
      reject(new Error(`Neither answered nor ended within ${within} ms: ${shown}`));
      socket.destroy();
    }, within);
    socket.on('error', () => undefined);
    socket.on('close', () => {
      clearTimeout(timer);
      resolve();
    });
    socket.resume();
    socket.write(bytes, () => leave && setImmediate(() => socket.resetAndDestroy()));
  });
}
