import { byteSourceOf, Recent, type Via } from '../lib/index.ts';
import {
  type AddressPolicy,
  HttpError,
  type HttpRequest,
  type HttpStream,
  readReference,
  type WrittenUrl,
} from '../net/index.ts';
import { ownHeaders } from '../oci/index.ts';
import { isPrivateNetwork } from './address.ts';
import { basicAuthorization, CredentialReader } from './auth/index.ts';
import { siteBlockOf } from './blocked.ts';
import { ANY } from './connection.ts';
import type { UpstreamContext } from './context.ts';
import { UpstreamError } from './error.ts';
import { clientTowards, published } from './exchange.ts';
import { hostOf } from './host.ts';
import { decideRedirect, isRedirect } from './redirects/index.ts';
import type { MirrorSpec } from './site-spec.ts';
import { withVia } from './with-via.ts';

export interface SiteRequest extends Pick<HttpRequest, 'method' | 'body'>, WrittenUrl {
  /** The client's end-to-end headers, by lower-case names; a redirect target gets only {@link FOR_ANYONE}. */
  readonly headers: Readonly<Record<string, string>>;
  /** The servers behind the request; sent as `Via`, to redirect targets too. @default none */
  readonly via?: Via | undefined;
  /** The client's `Host`, where the site is to get it. */
  readonly host?: string | undefined;
  /** Whether a route of this server leads to a URL: then the client gets the redirect to follow itself. */
  readonly isRouted: (written: WrittenUrl) => boolean;
  readonly signal: AbortSignal;
}

/** The last answer, after redirects, and the URL that gave it. */
export interface SiteAnswer extends HttpStream, WrittenUrl {
  /** Headers of the redirects that were followed, in order. */
  readonly redirects: readonly HttpStream['headers'][];
  /** Who answered in the site's place; undefined where nothing says so. */
  readonly blockedBy: string | undefined;
}

/** Headers that a redirect target may get: none identifies the client or is meant for the site alone. */
const FOR_ANYONE = new Set([
  'accept',
  'accept-language',
  'if-match',
  'if-modified-since',
  'if-none-match',
  'if-range',
  'if-unmodified-since',
  'range',
  'user-agent',
]);

/** How long a host that refused HEAD is not asked with it again. */
const REFUSED_FOR_MS = 10 * 60_000;

/** Statuses by which a site refuses HEAD where a GET may work; and those of a storage whose URL is signed for GET. */
const BY_SITE: readonly number[] = [403, 405, 501];
const BEHIND_REDIRECT: readonly number[] = [400, 401, ...BY_SITE];

/** Headers of a redirect that clients need in the final answer: Hugging Face describes its large files by them. */
const KEPT_FROM_REDIRECTS = ['x-linked-etag', 'x-linked-size', 'x-repo-commit', 'docker-content-digest'];

/**
 * A site behind a mirror route. It gets the client's request; redirects are followed here unless a route leads to their
 * target.
 *
 * Credentials and cookies go to the site's own origin only.
 */
export class Site {
  readonly spec: MirrorSpec;
  readonly #context: UpstreamContext;
  readonly #home: URL;
  readonly #headers: Readonly<Record<string, string>>;
  readonly #credentials: CredentialReader;
  /** The hosts that refuse HEAD and answer GET, as far as this route has met them. */
  readonly #headRefusals: Recent;

  constructor(spec: MirrorSpec, context: UpstreamContext) {
    const { now } = context;
    this.spec = spec;
    this.#context = context;
    this.#home = new URL(spec.upstream.url);
    this.#headers = ownHeaders(spec.upstream);
    // A list is refused when the configuration is read.
    const [source] = [spec.upstream.credentials].flat();
    this.#credentials = new CredentialReader({ source, upstream: this.#home, now });
    this.#headRefusals = new Recent({ most: 100, lasts: REFUSED_FOR_MS, now });
  }

  /**
   * The body of the answer is to be read or cancelled.
   *
   * @throws {UpstreamError} `unavailable` where the site does not answer, with an HttpError as cause, or a credential cannot
   * be read; `invalid` for a redirect that is not followed
   * @throws {HttpError} `aborted`
   */
  async open(request: SiteRequest): Promise<SiteAnswer> {
    if (request.method === 'HEAD') return this.#head(request);
    const answer = await this.#walk(request);
    if (answer === undefined) throw new TypeError('Only a HEAD is not asked');
    return answer;
  }

  /**
   * Answers a HEAD by the head of a GET where HEAD is refused: a storage's URL is often signed for GET alone, and the site gives
   * another one to each method. The GET asks for the whole, whose body is given up: a Range would change the head, and some
   * signatures do not allow one.
   */
  async #head(request: SiteRequest): Promise<SiteAnswer> {
    const asked = await this.#walk(request);
    if (asked !== undefined && !mayRefuseHead(asked)) return asked;
    asked?.body.cancel();
    const { range: _, 'if-range': __, ...headers } = request.headers;
    let answer: SiteAnswer | undefined;
    try {
      answer = await this.#walk({ ...request, method: 'GET', headers });
    } catch (error) {
      if (asked === undefined || request.signal.aborted) throw error;
    }
    answer?.body.cancel();
    // Refused with GET as well: it is not the method.
    if (asked !== undefined && (answer === undefined || answer.status >= 400)) return asked;
    if (answer === undefined) throw new TypeError('A GET is always asked');
    if (asked !== undefined) this.#headRefusals.add(asked.url.host);
    return { ...answer, body: byteSourceOf([]) };
  }

  /** Follows the redirects of a request to its answer; undefined for a HEAD that would reach a host that refuses it. */
  async #walk(request: SiteRequest): Promise<SiteAnswer | undefined> {
    const { method, isRouted } = request;
    const carried: Record<string, string> = {};
    const redirects: HttpStream['headers'][] = [];
    let { url, target }: WrittenUrl = request;
    let addresses: AddressPolicy = ANY;
    let isHome = true;
    let privateNetwork = true;
    for (let hops = 0; ; hops += 1) {
      if (method === 'HEAD' && this.#headRefusals.has(url.host)) return undefined;
      const answer = await this.#exchange({ ...request, url, target, addresses, isHome });
      privateNetwork &&= isPrivateNetwork(hostOf(url), answer.remoteAddress);
      const { location } = answer.headers;
      const next =
        isRedirect(answer.status) && location !== undefined ? readReference(location, { url, target }) : undefined;
      // A sent body cannot be sent again, and only GET and HEAD are redirected automatically (RFC 9110 §15.4).
      const isAnswer = next === undefined || isRouted(next) || (method !== 'GET' && method !== 'HEAD');
      if (isAnswer) {
        const headers = Object.assign(Object.create(null) as Record<string, string>, carried, answer.headers);
        return { ...answer, headers, url, target, redirects, blockedBy: siteBlockOf(answer)?.by };
      }
      for (const name of KEPT_FROM_REDIRECTS) {
        const value = answer.headers[name];
        if (value !== undefined) carried[name] = value;
      }
      answer.body.cancel();
      redirects.push(answer.headers);
      addresses = privateNetwork ? ANY : { kind: 'public', allow: this.spec.upstream.transport.upstream.allowPrivate };
      this.#requireFollowable(next.url, { from: url, hops, addresses, status: answer.status });
      ({ url, target } = next);
      isHome &&= url.origin === this.#home.origin;
      if (hostOf(url) === hostOf(this.#home)) addresses = ANY;
    }
  }

  /** @throws {UpstreamError} `invalid` where a redirect may not be followed */
  #requireFollowable(
    to: URL,
    hop: { readonly from: URL; readonly hops: number; readonly addresses: AddressPolicy; readonly status: number },
  ): void {
    const { name, upstream } = this.spec;
    const { from, hops, addresses, status } = hop;
    const decision = decideRedirect(to.href, {
      from,
      upstream: this.#home,
      hops,
      redirectHosts: upstream.redirectHosts,
      addresses,
    });
    if (decision.kind === 'follow') return;
    const message = `${this.#home.host} answered with a redirect that is not followed: ${decision.reason}`;
    this.#context.telemetry.publish('warning', { message: `${name}: ${message}` });
    throw new UpstreamError(message, { kind: 'invalid', upstream: name, status });
  }

  async #exchange(
    request: SiteRequest & { readonly addresses: AddressPolicy; readonly isHome: boolean },
  ): Promise<HttpStream> {
    const { method, url, target, isHome, host, via, addresses, signal, body } = request;
    const { name, upstream: spec } = this.spec;
    const context = this.#context;
    const client = await clientTowards(isHome ? 'upstream' : 'redirect', { spec, context });
    const given = isHome ? await this.#homeHeaders(request.headers) : forAnyone(request.headers);
    const httpRequest: HttpRequest = {
      method,
      url,
      target,
      headers: withVia(given, via),
      addresses,
      signal,
      ...(body === undefined ? {} : { body }),
      ...(isHome && host !== undefined ? { host } : {}),
    };
    const purpose = isHome ? 'api' : 'redirect';
    const about = { context, registry: name, upstream: this.#home.host, purpose, request: via?.request } as const;
    const exchange = { ...about, httpRequest };
    try {
      return await published(exchange, {
        send: (meter) => client.open({ ...httpRequest, meter }),
        blockedBy: (answer) => siteBlockOf(answer)?.kind,
      });
    } catch (error) {
      if (!(error instanceof HttpError) || error.code === 'aborted') throw error;
      throw new UpstreamError(error.explanation, { kind: 'unavailable', upstream: name, cause: error });
    }
  }

  /** The client's headers, overridden by the operator's. */
  async #homeHeaders(given: SiteRequest['headers']): Promise<Record<string, string>> {
    const headers = { ...given, ...this.#headers };
    if (!this.#credentials.configured) return headers;
    try {
      const credential = await this.#credentials.read();
      return credential === undefined ? headers : { ...headers, authorization: basicAuthorization(credential) };
    } catch (error) {
      const message = `${this.spec.name} cannot be asked: ${(error as Error).message}`;
      throw new UpstreamError(message, { kind: 'unavailable', upstream: this.spec.name, cause: error });
    }
  }
}

/** Whether the answer to a HEAD may be due to the method, so that a GET tells more. */
function mayRefuseHead({ status, redirects }: SiteAnswer): boolean {
  return (redirects.length > 0 ? BEHIND_REDIRECT : BY_SITE).includes(status);
}

function forAnyone(headers: SiteRequest['headers']): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => FOR_ANYONE.has(name)));
}
