import { byteSourceOf, type Via } from '../lib/index.ts';
import {
  type AddressPolicy,
  HttpError,
  type HttpRequest,
  type HttpStream,
  readReference,
  type WrittenUrl,
} from '../net/index.ts';
import type { UpstreamRequestEnded } from '../telemetry/index.ts';
import { isPrivateNetwork } from './address.ts';
import { basicAuthorization, CredentialReader } from './auth/index.ts';
import { siteBlockOf } from './blocked.ts';
import { ANY, outcomeOf } from './connection.ts';
import type { UpstreamContext } from './context.ts';
import { DestinationClients } from './destination-clients.ts';
import { UpstreamError } from './error.ts';
import { HeadRefusals, mayRefuseHead } from './head-refusals.ts';
import { hostOf } from './host.ts';
import { ownHeaders, withVia } from './own-headers.ts';
import { decideRedirect, isRedirect } from './redirect.ts';
import type { MirrorSpec } from './site-spec.ts';

export interface SiteOptions extends Pick<UpstreamContext, 'httpClientFor' | 'telemetry' | 'allowPrivate'> {
  readonly spec: MirrorSpec;
  /** Milliseconds. @default Date.now */
  readonly now?: () => number;
}

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
  readonly #options: SiteOptions;
  readonly #home: URL;
  readonly #headers: Readonly<Record<string, string>>;
  readonly #credentials: CredentialReader;
  readonly #clients: DestinationClients;
  readonly #headRefusals: HeadRefusals;

  constructor(options: SiteOptions) {
    const { spec } = options;
    this.spec = spec;
    this.#options = options;
    this.#home = new URL(spec.upstream.url);
    this.#headers = ownHeaders(spec.upstream);
    const now = options.now ?? Date.now;
    // A list is refused when the configuration is read.
    const [source] = [spec.upstream.credentials].flat();
    this.#credentials = new CredentialReader({ source, upstream: this.#home, now });
    this.#headRefusals = new HeadRefusals(now);
    this.#clients = new DestinationClients(spec.upstream, options);
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
    if (asked !== undefined) this.#headRefusals.note(asked.url);
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
      if (method === 'HEAD' && this.#headRefusals.has(url)) return undefined;
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
      addresses = privateNetwork ? ANY : { kind: 'public', allow: this.#options.allowPrivate };
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
    this.#options.telemetry.publish('warning', { message: `${name}: ${message}` });
    throw new UpstreamError(message, { kind: 'invalid', upstream: name, status });
  }

  async #exchange(
    request: SiteRequest & { readonly addresses: AddressPolicy; readonly isHome: boolean },
  ): Promise<HttpStream> {
    const { method, url, target, isHome, host, via, addresses, signal, body } = request;
    const client = await this.#clients.to(isHome ? 'upstream' : 'redirect');
    const given = isHome ? await this.#homeHeaders(request.headers) : forAnyone(request.headers);
    const headers = withVia(given, via);
    const asked = performance.now();
    const tell = (status: number, { error, blocked }: Pick<UpstreamRequestEnded, 'error' | 'blocked'> = {}): void =>
      this.#options.telemetry.publish('upstream.request', {
        registry: this.spec.name,
        upstream: this.#home.host,
        purpose: isHome ? 'api' : 'redirect',
        method,
        url: `${url.origin}${url.pathname}`,
        status,
        durationMs: performance.now() - asked,
        ...(error === undefined ? {} : { error }),
        ...(blocked === undefined ? {} : { blocked }),
      });
    try {
      const answer = await client.open({
        method,
        url,
        target,
        headers,
        addresses,
        signal,
        ...(body === undefined ? {} : { body }),
        ...(isHome && host !== undefined ? { host } : {}),
      });
      tell(answer.status, { blocked: siteBlockOf(answer)?.kind });
      return answer;
    } catch (error) {
      tell(0, { ...outcomeOf(error), error: (error as Error).message });
      if (!(error instanceof HttpError) || error.code === 'aborted') throw error;
      const { name } = this.spec;
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

function forAnyone(headers: SiteRequest['headers']): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => FOR_ANYONE.has(name)));
}
