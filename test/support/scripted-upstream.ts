import { randomUUID } from 'node:crypto';
import { createServer as createHttpServer, type IncomingMessage, type RequestListener, type Server } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Digest } from '../../src/oci/index.ts';
import type { Content, TestImage } from './image.ts';
import { cut, type Exchange, sendContent, sendRedirect, sendStatus } from './scripted/answer.ts';
import { type Fault, Faults, type FaultTarget, Gate, type Occasion } from './scripted/faults.ts';
import { type HostRole, Journal, type RecordedRequest, type RequestFilter } from './scripted/journal.ts';
import { Library } from './scripted/library.ts';
import { PERSONALITIES, type Personality, type PersonalityName } from './scripted/personality.ts';
import { type Credentials, readBasic, sendJson, Tokens } from './scripted/tokens.ts';

export type { Fault, FaultTarget } from './scripted/faults.ts';
export { Gate, Line } from './scripted/faults.ts';
export type { RecordedRequest, RequestFilter } from './scripted/journal.ts';
export { PERSONALITIES, type Personality, type PersonalityName } from './scripted/personality.ts';

export interface ScriptedUpstreamOptions {
  /** @default 'plain' */
  readonly personality?: PersonalityName | Personality;
  /** The account that exists. With `anonymous: false`, nothing is to be had without it. */
  readonly credentials?: Credentials;
  /** @default true, except where the personality has Basic */
  readonly anonymous?: boolean;
  /** PEM texts: all three hosts then speak HTTPS. */
  readonly tls?: { readonly key: string; readonly cert: string };
  /** The host in every URL it tells; must lead to 127.0.0.1. @default '127.0.0.1' */
  readonly host?: string;
  /** How often, and for how many milliseconds, a URL that it signed is good. @default always */
  readonly signatures?: { readonly uses?: number; readonly lasts?: number };
}

/** A URL that was signed. */
interface Signature {
  readonly methods: string;
  readonly until: number;
  uses: number;
}

/** Starts a registry that behaves like a real one and misbehaves on cue. It listens on 127.0.0.1, on free ports. */
export async function startScriptedUpstream(options: ScriptedUpstreamOptions = {}): Promise<ScriptedUpstream> {
  const upstream = new ScriptedUpstream(options);
  await upstream.listen();
  return upstream;
}

export class ScriptedUpstream {
  readonly personality: Personality;
  /** What it holds; `add` is the short way in. */
  readonly library = new Library();
  readonly #options: ScriptedUpstreamOptions;
  readonly #journal = new Journal();
  readonly #faults = new Faults();
  readonly #tokens: Tokens | undefined;
  readonly #signatures = new Map<string, Signature>();
  readonly #hidden = new Map<string, 'public' | 'refused' | 'absent'>();
  readonly #servers: Record<HostRole, Server>;
  readonly #ports: Record<HostRole, number> = { registry: 0, token: 0, cdn: 0 };
  #pullsLeft: number;

  constructor(options: ScriptedUpstreamOptions) {
    const { personality = 'plain', credentials, anonymous = true } = options;
    this.#options = options;
    this.personality = typeof personality === 'string' ? PERSONALITIES[personality] : personality;
    const { auth, rateLimit } = this.personality;
    this.#tokens = auth.kind === 'bearer' ? new Tokens(auth, { credentials, anonymous }) : undefined;
    this.#pullsLeft = rateLimit?.pulls ?? Number.POSITIVE_INFINITY;
    this.#servers = { registry: this.#serve('registry'), token: this.#serve('token'), cdn: this.#serve('cdn') };
  }

  /** `http://127.0.0.1:PORT`, for a configuration. */
  get url(): string {
    return this.#origin('registry');
  }

  /** `127.0.0.1:PORT`, for an image name. */
  get host(): string {
    return new URL(this.url).host;
  }

  /** Where bodies come from, for personalities that redirect. */
  get cdnUrl(): string {
    return this.#origin('cdn');
  }

  /** The realm of a Bearer challenge. */
  get realm(): string {
    const { auth } = this.personality;
    if (auth.kind !== 'bearer') throw new TypeError('Cannot name a realm as this personality has no tokens');
    return `${this.#origin(auth.host === 'own' ? 'registry' : 'token')}${auth.path}`;
  }

  /** Everything that was asked, in order of arrival. */
  get requests(): readonly RecordedRequest[] {
    return this.#journal.requests;
  }

  /** How many requests match: `count({ kind: 'blob', method: 'GET' })`. */
  count(filter: RequestFilter = {}): number {
    return this.#journal.matching(filter).length;
  }

  /** GETs of blobs (of one digest) that were answered with a body; redirects are not counted twice. */
  blobBodies(digest?: string): RecordedRequest[] {
    return this.#journal.blobBodies(digest);
  }

  /** What was asked, in lines for people: a good assertion message. */
  journal(): string {
    return this.#journal.toString();
  }

  /** Forgets what was asked so far. */
  forget(): void {
    this.#journal.requests.length = 0;
  }

  /** Adds an image under tags. */
  add(image: TestImage, repository: string, tags: readonly string[] = []): void {
    this.library.addImage(image, { repository, tags });
  }

  /** Adds one blob to a repository, without any manifest that names it. */
  addBlob(repository: string, blob: Content): Digest {
    this.library.addBlob(repository, blob);
    return blob.digest;
  }

  /** Lets something go wrong from now on; returns how to let it go right again. */
  fault(target: FaultTarget, fault: Fault): () => void {
    return this.#faults.add(target, fault);
  }

  /** Matching requests wait, unanswered, until the gate is opened. */
  hold(target: FaultTarget): Gate {
    const gate = new Gate();
    this.fault(target, { gate });
    return gate;
  }

  /** Everything goes right again, and no request waits any more. */
  heal(): void {
    this.#faults.clear();
  }

  /**
   * Shows a repository from now on only to clients with the credential: others are refused, or told that it does not exist.
   * `public` shows it to every client again.
   */
  setVisibility(repository: string, visibility: 'public' | 'refused' | 'absent'): void {
    this.#hidden.set(repository, visibility);
  }

  /** Forgets every token it gave out. */
  revokeTokens(): void {
    this.#tokens?.revoke();
  }

  /** Forgets every URL it signed. */
  expireSignatures(): void {
    this.#signatures.clear();
  }

  /**
   * Refuses new connections to one of its hosts, where what is open goes on.
   *
   * @returns takes connections again, on the same port
   */
  refuseConnections(role: HostRole): () => Promise<void> {
    const server = this.#servers[role];
    server.close();
    return () => listenOn(server, this.#ports[role]);
  }

  /** Sets the pulls left in the window of the rate limit; at 0 a GET of a manifest is answered 429. */
  limitPulls(left: number): void {
    this.#pullsLeft = left;
  }

  /** Credentials that turned up where they have no business; empty is right. */
  leaks(): string[] {
    return this.requests.flatMap((request) => {
      const { authorization = '', cookie } = request.headers;
      const where = `${request.at} ${request.method} ${request.url}`;
      const password = this.#options.credentials?.password;
      return [
        request.at === 'cdn' && authorization !== '' && `Authorization reached the redirect target: ${where}`,
        request.at === 'token' && /^Bearer/i.test(authorization) && `a token reached the token service: ${where}`,
        request.at === 'registry' &&
          this.personality.auth.kind === 'bearer' &&
          /^Basic/i.test(authorization) &&
          `a password reached a registry that asked for a token: ${where}`,
        password !== undefined && request.url.includes(encodeURIComponent(password)) && `a password is in ${where}`,
        cookie !== undefined && `a cookie came with ${where}`,
      ].filter((line) => line !== false);
    });
  }

  async listen(): Promise<void> {
    for (const role of ['registry', 'token', 'cdn'] as const) {
      const server = this.#servers[role];
      await listenOn(server, 0);
      this.#ports[role] = (server.address() as AddressInfo).port;
    }
  }

  /** Cuts every connection and closes. */
  async stop(): Promise<void> {
    this.heal();
    await Promise.all(
      Object.values(this.#servers).map((server) => {
        const closed = new Promise((resolve) => server.close(resolve));
        server.closeAllConnections();
        return closed;
      }),
    );
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  #origin(role: HostRole): string {
    const scheme = this.#options.tls === undefined ? 'http' : 'https';
    return `${scheme}://${this.#options.host ?? '127.0.0.1'}:${this.#ports[role]}`;
  }

  #serve(role: HostRole): Server {
    const listener: RequestListener = (request, response) => {
      const url = new URL(request.url ?? '/', 'http://scripted');
      const record = this.#record(role, request, url);
      const closed = new Promise<void>((resolve) => {
        response.on('close', () => {
          if (record.end === 'running') record.end = response.writableFinished ? 'complete' : 'left';
          resolve();
        });
      });
      // A reset by the other side is part of the play.
      response.on('error', () => undefined);
      request.on('error', () => undefined);
      const meet = (occasion: Occasion): Fault => this.#faults.meet(record, occasion);
      const exchange = { request, response, url, record, closed, meet };
      this.#play(exchange).catch((error: unknown) => {
        response.destroy(error instanceof Error ? error : undefined);
      });
    };
    const { tls } = this.#options;
    const server = tls === undefined ? createHttpServer(listener) : createHttpsServer(tls, listener);
    server.keepAliveTimeout = 60_000;
    server.on('clientError', (_error, socket) => socket.destroy());
    return server;
  }

  #record(role: HostRole, request: IncomingMessage, url: URL): RecordedRequest {
    const { auth } = this.personality;
    const isToken = role === 'token' || (auth.kind === 'bearer' && auth.host === 'own' && url.pathname === auth.path);
    const record: RecordedRequest = {
      at: isToken ? 'token' : role,
      method: request.method ?? '',
      url: request.url ?? '',
      range: request.headers.range,
      headers: request.headers,
      status: 0,
      bytes: 0,
      end: 'running',
      ...(isToken ? { kind: 'token', repository: undefined, reference: undefined } : readPath(url.pathname)),
    };
    this.#journal.requests.push(record);
    return record;
  }

  async #play(exchange: Exchange): Promise<void> {
    const { record, request, response, closed } = exchange;
    const fault = exchange.meet('arrival');
    if (fault.gate !== undefined) await Promise.race([fault.gate.pass(), closed]);
    if (fault.delay !== undefined) await Promise.race([sleep(fault.delay), closed]);
    if (response.destroyed) return;
    if (fault.reset) return cut(exchange);
    if (fault.status !== undefined) {
      const { status, body, headers = {} } = fault;
      for (const [name, value] of Object.entries(headers)) if (value !== null) response.setHeader(name, value);
      return sendStatus(exchange, status, body === undefined ? {} : { body, mediaType: 'text/plain' });
    }
    if (record.at === 'token') return this.#answerToken(exchange);
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      return sendStatus(exchange, 405, { code: 'UNSUPPORTED', headers: { allow: 'GET, HEAD' } });
    }
    return record.at === 'cdn' ? this.#answerCdn(exchange) : this.#answerRegistry(exchange);
  }

  async #answerToken(exchange: Exchange): Promise<void> {
    if (this.#tokens === undefined) return sendStatus(exchange, 404);
    return this.#tokens.answer(exchange);
  }

  async #answerRegistry(exchange: Exchange): Promise<void> {
    exchange.response.setHeader('docker-distribution-api-version', 'registry/2.0');
    const challenge = this.#challenge(exchange);
    if (challenge !== undefined) {
      return sendStatus(exchange, 401, { code: 'UNAUTHORIZED', headers: { 'www-authenticate': challenge } });
    }
    const { kind, repository = '' } = exchange.record;
    if (kind === 'ping') return sendJson(exchange, {});
    if (kind === 'catalog' && this.personality.catalog) return this.#answerCatalog(exchange);
    if (this.#hidden.get(repository) === 'absent' && this.#isAnonymous(exchange)) {
      return sendStatus(exchange, 404, { code: 'NAME_UNKNOWN' });
    }
    if (kind === 'catalog' || kind === 'other') return sendStatus(exchange, 404, { code: 'UNSUPPORTED' });
    if (!this.library.has(repository)) return sendStatus(exchange, 404, { code: 'NAME_UNKNOWN' });
    if (kind === 'tags') return this.#answerTags(exchange);
    if (kind === 'referrers') return this.#answerReferrers(exchange);
    return kind === 'manifest' ? this.#answerManifest(exchange) : this.#answerBlob(exchange);
  }

  /** The `WWW-Authenticate` of a request that may not pass; undefined where it may. */
  #challenge({ request, record }: Exchange): string | undefined {
    const { auth } = this.personality;
    const { authorization } = request.headers;
    if (auth.kind === 'basic') {
      const shown = readBasic(authorization);
      const known = this.#options.credentials;
      const right = known !== undefined && shown?.username === known.username && shown.password === known.password;
      const isOpen = this.#options.anonymous === true && this.#hidden.get(record.repository ?? '') !== 'refused';
      return right || isOpen ? undefined : `Basic realm="${auth.realm}",service="registry"`;
    }
    if (auth.kind === 'none' || this.#tokens === undefined) return undefined;
    const scope = record.repository === undefined ? '' : (auth.scope ?? `repository:${record.repository}:pull`);
    const isRefused =
      this.#hidden.get(record.repository ?? '') === 'refused' && this.#tokens.isAnonymous(authorization);
    if (this.#tokens.allows(authorization, scope) && !isRefused) return undefined;
    const known = this.#tokens.allows(authorization, '');
    return [
      `Bearer realm="${this.realm}"`,
      `service="${auth.service}"`,
      ...(scope === '' ? [] : [`scope="${scope}"`]),
      ...(authorization === undefined ? [] : [`error="${known ? 'insufficient_scope' : 'invalid_token'}"`]),
    ].join(',');
  }

  #isAnonymous({ request: { headers } }: Exchange): boolean {
    return this.#tokens?.isAnonymous(headers.authorization) ?? headers.authorization === undefined;
  }

  #answerManifest(exchange: Exchange): Promise<void> {
    const { request, record, response } = exchange;
    const { repository = '', reference = '' } = record;
    const { rateLimit } = this.personality;
    if (rateLimit !== undefined) {
      if (request.method === 'GET' && this.#pullsLeft <= 0) {
        return sendStatus(exchange, 429, { code: 'TOOMANYREQUESTS' });
      }
      if (request.method === 'GET') this.#pullsLeft -= 1;
      response.setHeader('ratelimit-limit', `${rateLimit.pulls};w=${rateLimit.windowSeconds}`);
      response.setHeader('ratelimit-remaining', `${this.#pullsLeft};w=${rateLimit.windowSeconds}`);
    }
    const manifest = this.library.manifest(repository, reference);
    if (manifest === undefined) return sendStatus(exchange, 404, { code: 'MANIFEST_UNKNOWN' });
    if (this.personality.redirectManifests) return this.#redirect(exchange, 307);
    return sendContent(exchange, { ...manifest, ranges: false });
  }

  #answerBlob(exchange: Exchange): Promise<void> {
    const { blobs, blobHead } = this.personality;
    const { repository = '', reference = '' } = exchange.record;
    const blob = this.library.blob(repository, reference);
    if (blob === undefined) return sendStatus(exchange, 404, { code: 'BLOB_UNKNOWN' });
    if (blobs === 'here' || (exchange.request.method === 'HEAD' && blobHead === 'here')) {
      return sendContent(exchange, { ...blob, mediaType: 'application/octet-stream' });
    }
    return this.#redirect(exchange, blobs);
  }

  #redirect(exchange: Exchange, status: number): Promise<void> {
    const signature = randomUUID();
    const { uses = Number.POSITIVE_INFINITY, lasts = Number.POSITIVE_INFINITY } = this.#options.signatures ?? {};
    const methods = this.personality.blobHead === 'refused' ? 'GET' : 'GET HEAD';
    this.#signatures.set(signature, { methods, until: performance.now() + lasts, uses });
    return sendRedirect(exchange, status, `${this.cdnUrl}${exchange.url.pathname}?X-Amz-Signature=${signature}`);
  }

  #answerCdn(exchange: Exchange): Promise<void> {
    const { request, url, record } = exchange;
    // Object storage refuses two ways of authentication in one request, which is how such a leak shows in the wild.
    if (request.headers.authorization !== undefined) return sendStatus(exchange, 400, { body: 'InvalidArgument' });
    const signature = this.#signatures.get(url.searchParams.get('X-Amz-Signature') ?? '');
    const isGood = signature !== undefined && signature.uses > 0 && performance.now() <= signature.until;
    if (signature !== undefined) signature.uses -= 1;
    if (!isGood || !signature.methods.includes(request.method ?? '')) {
      return sendStatus(exchange, record.kind === 'other' ? 429 : 403, { body: 'SignatureDoesNotMatch' });
    }
    const { repository = '', reference = '' } = record;
    const manifest = record.kind === 'manifest' ? this.library.manifest(repository, reference) : undefined;
    if (manifest !== undefined) return sendContent(exchange, { ...manifest, ranges: false });
    const blob = this.library.blob(repository, reference);
    if (blob === undefined) return sendStatus(exchange, 404, { body: 'NoSuchKey' });
    return sendContent(exchange, {
      bytes: blob.bytes,
      mediaType: 'application/octet-stream',
      headers: { etag: `"${blob.digest.slice(7, 39)}"` },
    });
  }

  #answerTags(exchange: Exchange): Promise<void> {
    const { repository = '' } = exchange.record;
    const { page, link } = paginate(this.library.tags(repository) ?? [], exchange.url);
    return sendJson(exchange, { name: repository, tags: page }, link);
  }

  #answerCatalog(exchange: Exchange): Promise<void> {
    const { page, link } = paginate(this.library.repositories(), exchange.url);
    return sendJson(exchange, { repositories: page }, link);
  }

  #answerReferrers(exchange: Exchange): Promise<void> {
    const { repository = '', reference = '' } = exchange.record;
    const { referrers } = this.personality;
    if (referrers === 'not-found') return sendStatus(exchange, 404);
    // A page that is no part of the API, and soon has had enough (artifacthub issue 4785).
    if (referrers === 'see-other') return sendRedirect(exchange, 303, `${this.cdnUrl}/-/v2/packages/${repository}`);
    const artifactType = exchange.url.searchParams.get('artifactType');
    const index = this.library.referrers(repository, { digest: reference, artifactType });
    const headers: Record<string, string> = artifactType === null ? {} : { 'oci-filters-applied': 'artifactType' };
    return sendContent(exchange, { bytes: index.bytes, mediaType: index.mediaType, headers, ranges: false });
  }
}

function listenOn(server: Server, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen({ port, host: '127.0.0.1', backlog: 4096 }, resolve);
  });
}

/** Reads a path of the distribution API. */
function readPath(path: string): Pick<RecordedRequest, 'kind' | 'repository' | 'reference'> {
  if (path === '/v2/' || path === '/v2') return { kind: 'ping', repository: undefined, reference: undefined };
  if (path === '/v2/_catalog') return { kind: 'catalog', repository: undefined, reference: undefined };
  const match = /^\/v2\/(.+)\/(manifests|blobs|tags|referrers)\/([^/]+)$/.exec(path);
  if (match === null) return { kind: 'other', repository: undefined, reference: undefined };
  const [, repository, word, reference] = match;
  const kinds = { manifests: 'manifest', blobs: 'blob', tags: 'tags', referrers: 'referrers' } as const;
  const kind = kinds[word as keyof typeof kinds];
  return { kind, repository, reference: kind === 'tags' ? undefined : decodeURIComponent(reference ?? '') };
}

/** One page of a sorted list, by `n` and `last` (distribution-spec, "Listing Tags"). */
function paginate(all: readonly string[], url: URL): { page: string[]; link: Record<string, string> } {
  const last = url.searchParams.get('last') ?? '';
  const n = Number(url.searchParams.get('n') ?? all.length);
  const rest = all.filter((each) => each > last);
  const page = rest.slice(0, n);
  if (page.length === 0 || page.length === rest.length) return { page, link: {} };
  const next = new URLSearchParams({ n: String(n), last: page.at(-1) ?? '' }).toString();
  return { page, link: { link: `<${url.pathname}?${next}>; rel="next"` } };
}
