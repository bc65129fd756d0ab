import type { IncomingMessage } from 'node:http';
import {
  evaluateConditions,
  headersBehind,
  type KeptUrl,
  type UrlCache,
  type UrlOpen,
  type UrlResponse,
} from '../cache/index.ts';
import type { ByteSource } from '../lib/index.ts';
import { isSendableHost, type RequestBody } from '../net/index.ts';
import { formatContentRange } from '../oci/index.ts';
import type { Door, RequestContext } from '../server/index.ts';
import {
  endToEndHeaders,
  formatWarning,
  type Headers,
  IncomingBody,
  replyBytes,
  replyEmpty,
  replyStream,
  replyThrough,
} from '../server/index.ts';
import type { MirrorSpec } from '../upstream/index.ts';
import { MirrorRefusal, toMirrorRefusal } from './refusal.ts';
import {
  type RewriteContext,
  rewriteAddress,
  rewriteChallenge,
  rewriteCookie,
  rewriteLink,
  rewriteLocation,
} from './rewrite.ts';
import type { MirrorMatch, MirrorRoutes, PathOf } from './routes.ts';

/** What a mirrored site is asked, and what it answers: see `Site` of the upstream room, which satisfies it. */
export interface MirrorSite {
  open(request: {
    readonly method: string;
    readonly url: URL;
    readonly headers: Readonly<Record<string, string>>;
    readonly body?: RequestBody | string;
    readonly host?: string | undefined;
    readonly isRouted: (url: URL) => boolean;
    readonly signal: AbortSignal;
  }): Promise<SiteReply>;
}

export interface SiteReply {
  readonly status: number;
  /** Lower-case names. */
  readonly headers: Readonly<Record<string, string>>;
  readonly setCookies: readonly string[];
  readonly length: number | undefined;
  readonly body: ByteSource;
  /** The URL that answered, wherever redirects led. */
  readonly url: URL;
  /** Headers of the redirects that were followed to it, in order. */
  readonly redirects: readonly Readonly<Record<string, string>>[];
}

export interface Mirrors {
  readonly routes: MirrorRoutes;
  readonly siteOf: (route: MirrorSpec) => MirrorSite;
  /** How clients reach this server, where they cannot be asked. */
  readonly publicUrl: string | undefined;
  /** Keeps what may be kept. */
  readonly urls: UrlCache;
}

/**
 * Of a request: this connection's own; what says how it came here, as all of `X-Forwarded-*` does, which is nobody else's
 * business; and what makes some sites take it for a request of another method or path, which was not asked here.
 */
const NOT_PASSED_ON = [
  'accept-encoding',
  'cf-connecting-ip',
  'content-length',
  'expect',
  'forwarded',
  'host',
  'true-client-ip',
  'via',
  'x-client-ip',
  'x-cluster-client-ip',
  'x-host',
  'x-http-method',
  'x-http-method-override',
  'x-method-override',
  'x-original-host',
  'x-original-url',
  'x-real-ip',
  'x-request-id',
  'x-rewrite-url',
];

/** Headers by whose name somebody is let in: the standard ones, and those that sites invent. */
const CREDENTIAL =
  /^(?:authorization|cookie|x-jfrog-art-api)$|(?:^|-)(?:api-?key|auth|key|password|secret|session|signature|token)(?:-|$)/;

function isCredential(name: string): boolean {
  return CREDENTIAL.test(name);
}

/** What the cache asks by in its own way. */
const CONDITIONS = new Set([
  'if-match',
  'if-modified-since',
  'if-none-match',
  'if-range',
  'if-unmodified-since',
  'range',
]);

/** Of an answer: the connection's, and what would bind the client to the site, or this server's name to its promises. */
const NOT_HANDED_ON = new Set([
  'alt-svc',
  'clear-site-data',
  'connection',
  'content-length',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authentication-info',
  'proxy-connection',
  'set-cookie',
  'strict-transport-security',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'x-cache',
  'x-request-id',
]);

/** The door of mirror routes. It recognizes the paths under a route's prefix, whatever the method. */
export function createSitesDoor(mirrors: Mirrors): Door {
  return {
    open(context) {
      const match = mirrors.routes.match(context.path, context.query);
      if (match === undefined) return undefined;
      const { route } = match;
      context.route = route.name;
      context.mirror = route.name;
      return {
        takesSlot: true,
        parse() {
          requirePassable(context, match);
          return { action: 'pull', repository: { registry: route.name, repository: '' } };
        },
        answer: () => pass(context, match, mirrors),
        fail(error) {
          const refusal = toMirrorRefusal(error);
          if (refusal === undefined) return false;
          refuseMirror(context, refusal);
          return true;
        },
      };
    },
  };
}

function requirePassable({ method }: RequestContext, { route, url }: MirrorMatch): void {
  if (url === undefined) {
    throw new MirrorRefusal(400, 'the path has . or .. in it, or characters that no path can have');
  }
  if (!route.methods.includes(method)) {
    const allowed = route.methods.join(', ');
    throw new MirrorRefusal(405, `${method} does not pass the route ${route.name}; ${allowed} do`, { allow: allowed });
  }
}

async function pass(
  context: RequestContext,
  { route, url: asked, immutable }: MirrorMatch,
  mirrors: Mirrors,
): Promise<void> {
  const { request, method, signal } = context;
  if (asked === undefined) throw new TypeError('A request is answered before it was parsed');
  context.upstream = asked.host;
  context.cache = 'PASS';
  const base = baseOf(context, mirrors.publicUrl);
  const headers = requestHeaders(request);
  const site = mirrors.siteOf(route);
  const host = route.preserveHost ? context.host : undefined;
  if (host !== undefined && !isSendableHost(host)) {
    throw new MirrorRefusal(400, `the site of the route ${route.name} cannot be asked with this Host`);
  }
  const pathOf = pathsOf(mirrors.routes, { route, host });
  const isRouted = (target: URL): boolean => pathOf(target) !== undefined;
  const open = async (question: SiteQuestion): Promise<SiteReply> => {
    const reply = await site.open({ ...question, url: asked, host, isRouted });
    return { ...reply, headers: headersBehind(reply.redirects, reply.headers) };
  };

  const key = { route: route.name, url: keptUnder(asked, host) };
  const isReading = method === 'GET' || method === 'HEAD';
  // Where the answer may be another for each who asks, it is nobody else's.
  const mayBeKept = route.cache.enabled && isReading && headers['origin'] === undefined;
  if (!mayBeKept) {
    const body = bodyOf(context);
    const answer = await open({ method, headers, signal, ...(body === undefined ? {} : { body }) });
    const isChange = !isReading && method !== 'OPTIONS' && answer.status < 400;
    if (isChange && route.cache.enabled) await mirrors.urls.invalidate(key);
    return sendAnswer(context, route, { answer, rewriting: { from: answer.url, pathOf, base } });
  }
  requireNoBody(context);
  // The answers of the site as they came, with what the cache has no use for.
  const replies = new WeakMap<UrlResponse, SiteReply>();
  const answer = await mirrors.urls.answer(key, {
    method,
    open: async (question) => {
      const { method: how, signal: until } = question;
      const reply = await open({ method: how, headers: headersFor(headers, question), signal: until });
      replies.set(reply, reply);
      return reply;
    },
    personal: Object.keys(headers).some(isCredential),
    range: headers['range'],
    ifRange: headers['if-range'],
    ifNoneMatch: headers['if-none-match'],
    ifModifiedSince: headers['if-modified-since'],
    ifMatch: headers['if-match'],
    ifUnmodifiedSince: headers['if-unmodified-since'],
    signal,
    rules: { enabled: true, immutable },
  });
  if (answer.kind === 'kept') return sendKept(context, answer, { from: asked, pathOf, base });
  const reply = replies.get(answer.response);
  if (reply === undefined) throw new TypeError('An answer came from nobody');
  await sendAnswer(context, route, { answer: reply, rewriting: { from: reply.url, pathOf, base } });
}

type SiteQuestion = Pick<Parameters<MirrorSite['open']>[0], 'method' | 'headers' | 'body' | 'signal'>;

/** The site's URL; with the client's `Host` where the site is asked with it, since its answer may depend on it. */
function keptUnder({ href, protocol, pathname, search }: URL, host: string | undefined): string {
  return host === undefined ? href : `${protocol}//${host}${pathname}${search}`;
}

/** Where here a URL is found that a route's site names. A site that is asked with the client's `Host` calls itself by it. */
function pathsOf(
  routes: MirrorRoutes,
  { route, host }: { readonly route: MirrorSpec; readonly host: string | undefined },
): PathOf {
  return (url) => {
    if (host === undefined || url.host.toLowerCase() !== host.toLowerCase()) return routes.pathOf(url, route);
    // One that knows under which prefix it is shown has said so already.
    if (routes.match(url.pathname, '')?.route === route) return `${url.pathname}${url.search}${url.hash}`;
    const own = new URL(route.upstream);
    own.pathname = url.pathname;
    own.search = url.search;
    own.hash = url.hash;
    return routes.pathOf(own, route);
  };
}

/** What the site is asked on behalf of the cache: the client's headers, with the cache's own condition or range. */
function headersFor(
  given: Readonly<Record<string, string>>,
  { headers, offset = 0, validator }: UrlOpen,
): Record<string, string> {
  const own: Record<string, string> = {};
  for (const [name, value] of Object.entries(given)) if (!CONDITIONS.has(name)) own[name] = value;
  Object.assign(own, headers);
  if (offset > 0) own['range'] = `bytes=${offset}-`;
  if (offset > 0 && validator !== undefined) own['if-range'] = validator;
  return own;
}

/** Sends what is kept, or on its way in, as far as the client's conditions ask for it. */
async function sendKept(context: RequestContext, answer: KeptUrl, rewriting: RewriteContext): Promise<void> {
  const { reader, size, part, age, warning } = answer;
  const { headers: given } = context.request;
  context.cache = answer.outcome;
  if (answer.outcome === 'HIT' || answer.outcome === 'STALE') context.upstream = undefined;
  const headers: Record<string, string | number | string[]> = answerHeaders(answer.headers, rewriting);
  if (size !== undefined) headers['accept-ranges'] = 'bytes';
  if (age !== undefined) headers['age'] = Math.floor(age);
  if (warning !== undefined) headers['warning'] = formatWarning(110, warning);
  const conditions = {
    ifMatch: given['if-match'],
    ifNoneMatch: given['if-none-match'],
    ifModifiedSince: given['if-modified-since'],
    ifUnmodifiedSince: given['if-unmodified-since'],
  };
  const status = evaluateConditions(conditions, answer.headers);
  if (status !== 200) {
    reader.close();
    return replyEmpty(context, status, headers);
  }
  if (part === 'unsatisfiable') {
    reader.close();
    const range = size === undefined ? {} : { 'content-range': `bytes */${size}` };
    return replyEmpty(context, 416, { ...headers, ...range, 'content-length': 0 });
  }
  const length = part === undefined ? size : part.end - part.start + 1;
  if (part !== undefined) headers['content-range'] = formatContentRange(part, size);
  const code = part === undefined ? 200 : 206;
  if (context.isHead) {
    reader.close();
    return replyEmpty(context, code, length === undefined ? headers : { ...headers, 'content-length': length });
  }
  await replyStream(context, code, headers, { reader, length });
}

/** Sends what the site answered. */
async function sendAnswer(
  context: RequestContext,
  route: MirrorSpec,
  { answer, rewriting }: { readonly answer: SiteReply; readonly rewriting: RewriteContext },
): Promise<void> {
  const { status, setCookies, length, body } = answer;
  const headers = answerHeaders(answer.headers, rewriting);
  if (setCookies.length > 0) headers['set-cookie'] = setCookies.map((cookie) => rewriteCookie(cookie, route.prefix));
  if (context.isHead || status === 204 || status === 304) {
    body.cancel();
    const told = context.isHead ? answer.headers['content-length'] : undefined;
    return replyEmpty(context, status, told === undefined ? headers : { ...headers, 'content-length': told });
  }
  await replyThrough(context, status, headers, { source: body, length });
}

/** What of a site's headers the client sees, with addresses that lead through this server where a route does. */
export function answerHeaders(
  given: Readonly<Record<string, string>>,
  rewriting: RewriteContext,
): Record<string, string | string[]> {
  const headers: Record<string, string | string[]> = {};
  const listed = new Set((given['connection'] ?? '').split(',').map((name) => name.trim().toLowerCase()));
  for (const [name, value] of Object.entries(given)) {
    if (NOT_HANDED_ON.has(name) || listed.has(name)) continue;
    headers[name] = rewritten(name, value, rewriting);
  }
  return headers;
}

function rewritten(name: string, value: string, rewriting: RewriteContext): string {
  switch (name) {
    case 'location':
      return rewriteLocation(value, rewriting);
    case 'content-location':
      return rewriteAddress(value, rewriting) ?? value;
    case 'www-authenticate':
      return rewriteChallenge(value, rewriting);
    case 'link':
      return rewriteLink(value, rewriting);
    default:
      return value;
  }
}

/** The client's headers as the site may see them, by lower-case names. */
function requestHeaders(request: IncomingMessage): Record<string, string> {
  const raw = endToEndHeaders(request.rawHeaders, NOT_PASSED_ON);
  const headers: Record<string, string> = {};
  for (let i = 0; i + 1 < raw.length; i += 2) {
    const name = (raw[i] ?? '').toLowerCase();
    if (name.startsWith('x-forwarded-')) continue;
    const value = raw[i + 1] ?? '';
    const earlier = headers[name];
    headers[name] = earlier === undefined ? value : `${earlier}${name === 'cookie' ? '; ' : ', '}${value}`;
  }
  return headers;
}

/** The body of a request, as it comes. */
function bodyOf(context: RequestContext): RequestBody | string | undefined {
  const { request, method } = context;
  const { 'content-length': length, 'transfer-encoding': encoding } = request.headers;
  const hasBody = encoding !== undefined || (length !== undefined && length !== '0');
  if (!hasBody) return undefined;
  if (method === 'GET' || method === 'HEAD') throw bodyRefused(method);
  // curl waits a second for this before it sends what is large, and git longer.
  if (/^100-continue$/i.test(request.headers.expect ?? '')) context.response.writeContinue();
  const source = new IncomingBody(request, (count) => {
    context.received += count;
  });
  return { length: encoding === undefined ? Number(length) : undefined, source };
}

function requireNoBody({ request, method }: RequestContext): void {
  const { 'content-length': length, 'transfer-encoding': encoding } = request.headers;
  if (encoding !== undefined || (length !== undefined && length !== '0')) throw bodyRefused(method);
}

function bodyRefused(method: string): MirrorRefusal {
  return new MirrorRefusal(400, `${method} takes no body`, { connection: 'close' });
}

/** How the client reaches this server; empty where nobody knows, so that addresses stay relative. */
function baseOf({ scheme, host }: RequestContext, publicUrl: string | undefined): string {
  if (publicUrl !== undefined) return publicUrl;
  return host === undefined || host === '' ? '' : `${scheme}://${host}`;
}

/** Answers with a reason, as text; where an answer has begun, the connection is cut. */
export function refuseMirror(context: RequestContext, { status, message, headers }: MirrorRefusal): void {
  context.error = message;
  if (context.response.headersSent) {
    context.response.destroy();
    return;
  }
  // A body that nobody reads may still be on its way.
  const isReading = context.method === 'GET' || context.method === 'HEAD';
  const own: Headers = { 'content-type': 'text/plain; charset=utf-8', ...(isReading ? {} : { connection: 'close' }) };
  replyBytes(context, status, { ...own, ...headers }, `${message}\n`);
}
