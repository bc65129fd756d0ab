import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { digestOf } from '../../src/oci/index.ts';

/** One request that the upstream received. */
export interface SeenPush {
  readonly method: string;
  /** With its query. */
  readonly url: string;
  readonly headers: IncomingMessage['headers'];
  readonly authorization: string | undefined;
  /** Bytes of the body that were read. */
  received: number;
}

/** Plays an answer in place of the usual one; undefined: the usual one. */
export type PushScript = (
  request: IncomingMessage,
  response: ServerResponse,
  seen: SeenPush,
) => Promise<void> | void | undefined | 'usual';

export interface PushUpstreamOptions {
  /** The account that may push; undefined: every client may. */
  readonly credentials?: { readonly username: string; readonly password: string };
  /** The scope that every challenge names. @default that of the request */
  readonly namedScope?: string;
  /** Where uploads go on, by path and query. @default a relative `Location` with an opaque state */
  readonly locate?: (path: string) => string;
}

/**
 * A registry in memory that takes pushes: chunked and whole, mounts, manifests with `?tag=`, deletions, and a token service. A script
 * takes its place where a test wants another answer.
 */
export class PushUpstream implements AsyncDisposable {
  readonly seen: SeenPush[] = [];
  readonly blobs = new Map<string, Buffer>();
  readonly manifests = new Map<string, { readonly bytes: Buffer; readonly mediaType: string }>();
  readonly tags = new Map<string, string>();
  readonly #uploads = new Map<string, Buffer>();
  readonly #tokens = new Map<string, string>();
  readonly #options: PushUpstreamOptions;
  readonly #server = createServer((request, response) => void this.#take(request, response));
  /** Asked before each answer. */
  script: PushScript = () => 'usual';
  /** The scopes that tokens were asked for. */
  readonly scopes: string[] = [];

  constructor(options: PushUpstreamOptions = {}) {
    this.#options = options;
    // The head is judged before the body is wanted, as Go's server does by reading late.
    this.#server.on('checkContinue', (request, response) => void this.#take(request, response));
  }

  static async start(options: PushUpstreamOptions = {}): Promise<PushUpstream> {
    const upstream = new PushUpstream(options);
    await upstream.listen();
    return upstream;
  }

  async listen(port = 0): Promise<void> {
    this.#server.listen(port, '127.0.0.1');
    await once(this.#server, 'listening');
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  get openUploads(): number {
    return this.#uploads.size;
  }

  /** Requests but those for tokens, as `POST /v2/…`, without queries. */
  asked(): readonly string[] {
    return this.seen
      .filter(({ url }) => !url.startsWith('/token'))
      .map(({ method, url }) => `${method} ${url.replace(/\?.*$/, '').replace(/[0-9a-f-]{36}/, 'ID')}`);
  }

  /** No token is good any more. */
  revoke(): void {
    this.#tokens.clear();
  }

  loseUploads(): void {
    this.#uploads.clear();
  }

  async close(): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve));
    this.#server.closeAllConnections();
    await closed;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #take(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method = '', url = '', headers } = request;
    const seen: SeenPush = { method, url, headers, authorization: headers.authorization, received: 0 };
    this.seen.push(seen);
    request.on('error', () => undefined);
    try {
      const played = this.script(request, response, seen);
      if (played !== 'usual') return await played;
      await this.usual(request, response, seen);
    } catch {
      response.destroy();
    }
  }

  /** The usual answer. */
  async usual(request: IncomingMessage, response: ServerResponse, seen: SeenPush): Promise<void> {
    const { pathname, searchParams } = new URL(seen.url, 'http://registry');
    if (pathname === '/token') return this.#token(request, response, searchParams);
    const [, repository = '', what = '', rest = ''] =
      /^\/v2\/(.+?)\/(blobs\/uploads|blobs|manifests)\/(.*)$/.exec(pathname) ?? [];
    if (!this.#isAuthorized(request, { repository, searchParams })) {
      const scope = this.#options.namedScope ?? this.#scopeOf(request, { repository, searchParams });
      const realm = `Bearer realm="${this.url}/token",service="test",scope="${scope}"`;
      return sendError(response, 401, 'UNAUTHORIZED', 'log in', { 'www-authenticate': realm });
    }
    if (what === 'blobs/uploads') {
      return this.#upload(request, response, { seen, repository, id: rest, query: searchParams });
    }
    const key = `${repository} ${rest}`;
    if (what === 'blobs') return this.#blob(request, response, key);
    if (what === 'manifests') return this.#manifest(request, response, { seen, repository, rest, query: searchParams });
    return send(response, 200, {});
  }

  #token(request: IncomingMessage, response: ServerResponse, query: URLSearchParams): void {
    const { username = '', password = '' } = this.#options.credentials ?? {};
    const basic = `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`;
    const scope = query.getAll('scope').join(' ');
    this.scopes.push(scope);
    if (request.headers.authorization !== basic) return sendError(response, 401, 'UNAUTHORIZED', 'no such account');
    const token = randomUUID();
    this.#tokens.set(token, scope);
    send(response, 200, { 'content-type': 'application/json' }, JSON.stringify({ token, expires_in: 300 }));
  }

  #scopeOf(
    { method }: IncomingMessage,
    { repository, searchParams }: { repository: string; searchParams: URLSearchParams },
  ): string {
    const actions = method === 'GET' || method === 'HEAD' ? 'pull' : method === 'DELETE' ? 'delete' : 'pull,push';
    const from = searchParams.get('from');
    return `repository:${repository}:${actions}${from === null ? '' : ` repository:${from}:pull`}`;
  }

  #isAuthorized(request: IncomingMessage, about: { repository: string; searchParams: URLSearchParams }): boolean {
    if (this.#options.credentials === undefined) return true;
    const granted = this.#tokens.get((request.headers.authorization ?? '').replace('Bearer ', ''))?.split(' ');
    return this.#scopeOf(request, about)
      .split(' ')
      .every((wanted) => {
        const [, name, actions = ''] = wanted.split(':');
        const mine =
          granted
            ?.find((each) => each.split(':')[1] === name)
            ?.split(':')[2]
            ?.split(',') ?? [];
        return actions.split(',').every((each) => mine.includes(each));
      });
  }

  async #upload(
    request: IncomingMessage,
    response: ServerResponse,
    about: { seen: SeenPush; repository: string; id: string; query: URLSearchParams },
  ): Promise<void> {
    const { repository, query, seen } = about;
    let { id } = about;
    if (request.method === 'POST') {
      const mounted = this.blobs.get(`${query.get('from')} ${query.get('mount')}`);
      if (mounted !== undefined) {
        const digest = query.get('mount') ?? '';
        this.blobs.set(`${repository} ${digest}`, mounted);
        return send(response, 201, { location: `/v2/${repository}/blobs/${digest}`, 'docker-content-digest': digest });
      }
      id = randomUUID();
      this.#uploads.set(id, Buffer.alloc(0));
      return this.#open(response, 202, { repository, id });
    }
    const held = this.#uploads.get(id);
    if (held === undefined) return sendError(response, 404, 'BLOB_UPLOAD_UNKNOWN', 'upload unknown to the upstream');
    if (request.method === 'GET') return this.#open(response, 204, { repository, id });
    if (request.method === 'DELETE') {
      this.#uploads.delete(id);
      return send(response, 204, {});
    }
    const first = /^(\d+)-/.exec(request.headers['content-range'] ?? '')?.[1];
    if (first !== undefined && Number(first) !== held.length) return this.#open(response, 416, { repository, id });
    const bytes = await receive(request, response, seen);
    const whole = Buffer.concat([held, bytes]);
    this.#uploads.set(id, whole);
    if (request.method === 'PATCH') return this.#open(response, 202, { repository, id });
    this.#uploads.delete(id);
    const digest = query.get('digest') ?? '';
    if (digestOf(whole, digest.startsWith('sha512') ? 'sha512' : 'sha256') !== digest) {
      return sendError(response, 400, 'DIGEST_INVALID', 'provided digest did not match uploaded content');
    }
    this.blobs.set(`${repository} ${digest}`, whole);
    send(response, 201, { location: `/v2/${repository}/blobs/${digest}`, 'docker-content-digest': digest });
  }

  #open(response: ServerResponse, status: number, { repository, id }: { repository: string; id: string }): void {
    const { locate = (path: string) => path } = this.#options;
    const length = this.#uploads.get(id)?.length ?? 0;
    send(response, status, {
      // As distribution's: a state that the client gives back as it is, with what URL parsers like to rewrite.
      location: locate(`/v2/${repository}/blobs/uploads/${id}?_state=a'b%2Fc|${length}==`),
      range: `0-${Math.max(0, length - 1)}`,
      'docker-upload-uuid': id,
      'oci-chunk-min-length': '5',
    });
  }

  #blob(request: IncomingMessage, response: ServerResponse, key: string): void {
    const bytes = this.blobs.get(key);
    if (bytes === undefined) return sendError(response, 404, 'BLOB_UNKNOWN', 'blob unknown to registry');
    if (request.method === 'DELETE') {
      this.blobs.delete(key);
      return send(response, 202, {});
    }
    send(response, 200, { 'content-length': bytes.length }, request.method === 'HEAD' ? undefined : bytes);
  }

  async #manifest(
    request: IncomingMessage,
    response: ServerResponse,
    about: { seen: SeenPush; repository: string; rest: string; query: URLSearchParams },
  ): Promise<void> {
    const { repository, rest, query, seen } = about;
    const tag = `${repository} ${rest}`;
    if (request.method === 'PUT') {
      const bytes = await receive(request, response, seen);
      const digest = digestOf(bytes);
      const missing = JSON.parse(bytes.toString()).layers?.find(
        (each: { digest: string }) => !this.blobs.has(`${repository} ${each.digest}`),
      );
      if (missing !== undefined) return sendError(response, 400, 'MANIFEST_BLOB_UNKNOWN', 'blob unknown to registry');
      this.manifests.set(`${repository} ${digest}`, { bytes, mediaType: request.headers['content-type'] ?? '' });
      const tags = rest.includes(':') ? query.getAll('tag') : [rest];
      for (const each of tags) this.tags.set(`${repository} ${each}`, digest);
      const confirmed = rest.includes(':') && tags.length > 0 ? { 'oci-tag': tags } : {};
      const { subject } = JSON.parse(bytes.toString());
      const subjects = subject === undefined ? {} : { 'oci-subject': subject.digest };
      return send(response, 201, { 'docker-content-digest': digest, ...confirmed, ...subjects });
    }
    const digest = this.tags.get(tag) ?? rest;
    const found = this.manifests.get(`${repository} ${digest}`);
    if (found === undefined) return sendError(response, 404, 'MANIFEST_UNKNOWN', 'manifest unknown');
    if (request.method === 'DELETE') {
      if (!this.tags.delete(tag)) this.manifests.delete(`${repository} ${digest}`);
      return send(response, 202, {});
    }
    const headers = {
      'content-type': found.mediaType,
      'content-length': found.bytes.length,
      'docker-content-digest': digest,
    };
    send(response, 200, headers, request.method === 'HEAD' ? undefined : found.bytes);
  }
}

/** Reads a body; where the client waits for 100, it is told to send it. */
export async function receive(request: IncomingMessage, response: ServerResponse, seen: SeenPush): Promise<Buffer> {
  if (request.headers.expect !== undefined) response.writeContinue();
  const chunks: Buffer[] = [];
  for await (const chunk of request) {
    chunks.push(chunk as Buffer);
    seen.received += (chunk as Buffer).length;
  }
  return Buffer.concat(chunks);
}

export function send(
  response: ServerResponse,
  status: number,
  headers: Record<string, string | number | string[]>,
  body?: Buffer | string,
): void {
  response.writeHead(
    status,
    body === undefined || 'content-length' in headers
      ? headers
      : { ...headers, 'content-length': Buffer.byteLength(body) },
  );
  response.end(body);
}

export function sendError(
  response: ServerResponse,
  status: number,
  code: string,
  message: string,
  headers: Record<string, string> = {},
): void {
  send(
    response,
    status,
    { 'content-type': 'application/json', ...headers },
    JSON.stringify({ errors: [{ code, message }] }),
  );
}
