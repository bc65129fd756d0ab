import { evaluateConditions, headersBehind, type KeptUrl, type UrlCache, type UrlResponse } from '../cache/index.ts';
import { isSendableHost, type WrittenUrl } from '../net/index.ts';
import { formatContentRange, isKnownTo } from '../oci/index.ts';
import {
  bodyOf,
  type Door,
  formatWarning,
  PartsReader,
  type PublicUrls,
  publicUrlFor,
  type RequestContext,
  replyEmpty,
  replyRefusal,
  replyStream,
  replyThrough,
  sandboxed,
  TextRefusal,
} from '../server/index.ts';
import type { MirrorSpec, Site } from '../upstream/index.ts';
import { answerCookies, answerHeaders } from './answer-headers.ts';
import { cacheUrlOf } from './cache-url.ts';
import { toTextRefusal } from './refusal.ts';
import { cacheRequestHeaders, mayIdentify, requestHeaders } from './request-headers.ts';
import type { RewriteContext } from './rewrite.ts';
import type { MirrorMatch, MirrorRoutes, PathOf } from './routes.ts';

export interface Mirrors {
  readonly routes: MirrorRoutes;
  readonly siteOf: (route: MirrorSpec) => Pick<Site, 'open'>;
  /** The URLs of this server for clients. @default the Host of each request */
  readonly publicUrls: PublicUrls;
  /** Keeps the answers that may be kept. */
  readonly urls: UrlCache;
}

type SiteRequest = Parameters<Site['open']>[0];
type SeveralParts = NonNullable<KeptUrl['several']>;
type SiteAnswer = Awaited<ReturnType<Site['open']>>;

/** The door of mirror routes. It recognizes the paths under a route's prefix, whatever the method. */
export function createSitesDoor(mirrors: Mirrors): Door {
  return {
    open(context) {
      const hasQuery = context.request.url?.includes('?') === true;
      const match = mirrors.routes.match(context.path, hasQuery ? context.query : undefined);
      if (match === undefined) return undefined;
      const { route } = match;
      context.route = route.name;
      context.mirror = route.name;
      return {
        takesSlot: true,
        parse() {
          const at = requirePassable(context, match);
          return {
            access: {
              action: 'pull',
              repository: { registry: `mirror:${route.name}`, repository: pathUnder(context, route) },
            },
            // Its pages are not asked for without the credential: what an account sees may differ in content.
            isPublic: () => !isKnownTo(route.upstream),
            answer: () => answerFromSite(context, { ...match, at }, mirrors),
          };
        },
        fail(error) {
          const refusal = toTextRefusal(error);
          if (refusal !== undefined) replyRefusal(context, refusal);
          return refusal !== undefined;
        },
      };
    },
  };
}

/** The path behind the prefix, as rules match it; never empty, which would stand for no path. */
function pathUnder({ path }: RequestContext, { prefix }: MirrorSpec): string {
  return path.slice(prefix.length).replace(/^\//, '') || '.';
}

/** @returns the URL to ask for @throws {TextRefusal} */
function requirePassable({ method }: RequestContext, { route, at }: MirrorMatch): WrittenUrl {
  if (at === undefined) {
    throw new TextRefusal(400, 'the path has . or .. in it, or characters that no path can have');
  }
  if (!route.methods.includes(method)) {
    const allowed = route.methods.join(', ');
    throw new TextRefusal(405, `${method} does not pass the route ${route.name}; ${allowed} do`, { allow: allowed });
  }
  return at;
}

async function answerFromSite(
  context: RequestContext,
  { route, at, immutable }: MirrorMatch & { readonly at: WrittenUrl },
  mirrors: Mirrors,
): Promise<void> {
  const { request, method, signal, isReading, via } = context;
  context.upstream = at.url.host;
  context.cache = 'PASS';
  const base = baseOf(context, mirrors.publicUrls);
  const headers = requestHeaders(request);
  const site = mirrors.siteOf(route);
  const host = route.preserveHost ? context.host : undefined;
  if (host !== undefined && !isSendableHost(host)) {
    throw new TextRefusal(400, `the route ${route.name} cannot send this Host to its site`);
  }
  const pathOf = pathsOf(mirrors.routes, { route, host });
  const isRouted = (written: WrittenUrl): boolean => pathOf(written) !== undefined;
  const open = async (asked: Pick<SiteRequest, 'method' | 'headers' | 'body' | 'signal'>): Promise<SiteAnswer> => {
    const answer = await site.open({ ...asked, ...at, via, host, isRouted });
    return { ...answer, headers: headersBehind(answer.redirects, answer.headers, { now: Date.now() }) };
  };
  const send = (answer: SiteAnswer): Promise<void> =>
    sendAnswer(context, route, { answer, rewriting: { from: answer, pathOf, base } });

  const key = { route: route.name, url: cacheUrlOf(at, { route, host }) };
  // The answer to a request with an Origin may be for that origin only.
  const mayBeKept = route.cache.enabled && isReading && headers['origin'] === undefined;
  if (isReading && context.hasBody) {
    throw new TextRefusal(400, `${method} takes no body`, { connection: 'close' });
  }
  if (!mayBeKept) {
    const body = bodyOf(context);
    const answer = await open({ method, headers, signal, ...(body === undefined ? {} : { body }) });
    const isChange = !isReading && method !== 'OPTIONS' && answer.status < 400;
    if (isChange && route.cache.enabled) await mirrors.urls.invalidate(key);
    return send(answer);
  }
  // The site's whole answers, of which the cache gives back the part it knows.
  const answers = new WeakMap<UrlResponse, SiteAnswer>();
  const answer = await mirrors.urls.answer(key, {
    method: context.isHead ? 'HEAD' : 'GET',
    open: async (asked) => {
      const { method: how, signal: until } = asked;
      const given = await open({ method: how, headers: cacheRequestHeaders(headers, asked), signal: until });
      answers.set(given, given);
      return given;
    },
    personal: mayIdentify(headers),
    range: headers['range'],
    ifRange: headers['if-range'],
    ifNoneMatch: headers['if-none-match'],
    ifModifiedSince: headers['if-modified-since'],
    ifMatch: headers['if-match'],
    ifUnmodifiedSince: headers['if-unmodified-since'],
    hops: via?.hops ?? 0,
    signal,
    rules: { enabled: true, immutable },
  });
  if (answer.kind === 'kept') return sendKept(context, answer, { from: at, pathOf, base });
  const passed = answers.get(answer.response);
  if (passed === undefined) throw new TypeError('The cache returned an answer without the response of its site');
  await send(passed);
}

/** Paths on this server for the URLs in a site's answers. A site that gets the client's `Host` uses it in its own URLs. */
function pathsOf(
  routes: MirrorRoutes,
  { route, host }: { readonly route: MirrorSpec; readonly host: string | undefined },
): PathOf {
  return (written) => {
    const { url, target } = written;
    if (host === undefined || url.host.toLowerCase() !== host.toLowerCase()) return routes.pathOf(written, route);
    // A site that knows its prefix on this server has written it already.
    if (routes.match(url.pathname, undefined)?.route === route) {
      const isPlain = routes.match(target.replace(/\?.*$/s, ''), undefined)?.at !== undefined;
      return isPlain ? target : `${url.pathname}${url.search}`;
    }
    const own = new URL(route.upstream.url);
    own.pathname = url.pathname;
    own.search = url.search;
    return routes.pathOf({ url: own, target }, route);
  };
}

/** The headers of an answer; a page of the site is none of this server. */
function shownHeaders(given: SiteAnswer['headers'], rewriting: RewriteContext): Record<string, string | string[]> {
  const headers = answerHeaders(given, rewriting);
  headers['content-security-policy'] = sandboxed(headers['content-security-policy']?.toString());
  return headers;
}

/** Sends a cached answer, or one that is being cached, by the client's conditions and range. */
async function sendKept(context: RequestContext, answer: KeptUrl, rewriting: RewriteContext): Promise<void> {
  const { reader, size, part, age, warning } = answer;
  const { headers: given } = context.request;
  context.cache = answer.outcome;
  if (answer.outcome === 'HIT' || answer.outcome === 'STALE') context.upstream = undefined;
  const headers: Record<string, string | number | string[]> = shownHeaders(answer.headers, rewriting);
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
  if (answer.several !== undefined && size !== undefined && !context.isHead) {
    return sendParts(context, headers, { answer, several: answer.several, size });
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

/** Sends several parts of stored content. @param answer whose reader is that of the first part */
async function sendParts(
  context: RequestContext,
  headers: Record<string, string | number | string[]>,
  { answer, several, size }: { readonly answer: KeptUrl; readonly several: SeveralParts; readonly size: number },
): Promise<void> {
  const { parts, open } = several;
  const { reader } = await PartsReader.open({
    parts,
    size,
    contentType: String(headers['content-type'] ?? 'application/octet-stream'),
    open: async (part) => ({ part, size, reader: part === parts[0] ? answer.reader : await open(part) }),
  });
  const { contentType, length } = reader;
  await replyStream(context, 206, { ...headers, 'content-type': contentType }, { reader, length });
}

/** Passes on the site's answer. */
async function sendAnswer(
  context: RequestContext,
  { prefix }: MirrorSpec,
  { answer, rewriting }: { readonly answer: SiteAnswer; readonly rewriting: RewriteContext },
): Promise<void> {
  const { status, setCookies, length, body } = answer;
  const headers = { ...shownHeaders(answer.headers, rewriting), ...answerCookies(setCookies, prefix) };
  if (context.isHead || status === 204 || status === 304) {
    body.cancel();
    const announced = context.isHead ? answer.headers['content-length'] : undefined;
    return replyEmpty(context, status, announced === undefined ? headers : { ...headers, 'content-length': announced });
  }
  await replyThrough(context, status, headers, { source: body, length });
}

/** This server's URL for the client; empty where it is not known: addresses stay relative then. */
function baseOf({ scheme, host }: RequestContext, publicUrls: PublicUrls): string {
  const own = publicUrlFor(publicUrls, { scheme, host });
  if (own !== undefined) return own;
  return host === undefined || host === '' ? '' : `${scheme}://${host}`;
}
