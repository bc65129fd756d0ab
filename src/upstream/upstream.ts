import {
  type AddressPolicy,
  type HttpClient,
  HttpError,
  type HttpHead,
  type HttpReply,
  type HttpRequest,
  type HttpStream,
} from '../net/index.ts';
import type { TlsSpec, UpstreamSpec, Visibility } from '../oci/index.ts';
import type { Telemetry, UpstreamRequest } from '../telemetry/index.ts';
import { withDeadline } from './abortable.ts';
import { isInside } from './address.ts';
import { Authorizer, type Grant } from './authorizer.ts';
import { drain } from './drain.ts';
import {
  answerFailure,
  describeExchange,
  exchangeFailure,
  parseErrorCode,
  shownUrl,
  tokenFailure,
  UpstreamError,
} from './error.ts';
import { hostOf } from './host.ts';
import { identifiesUs, ownHeaders } from './own-headers.ts';
import { decideRedirect, isRedirect } from './redirect.ts';
import { type GrantedToken, parseTokenReply, type TokenHttpRequest } from './token-request.ts';

/** What every upstream is given by whoever puts the server together. */
export interface UpstreamContext {
  /**
   * The client for a TLS setting. `key` tells apart what may not share connections, so one client per key is enough; it
   * is the same for all that have neither a TLS setting nor a credential. A client is asked for once per upstream, and
   * closed by whoever made it.
   */
  readonly httpClientFor: (tls: TlsSpec | undefined, key: string) => HttpClient | Promise<HttpClient>;
  readonly telemetry: Telemetry;
  /** Hosts, addresses and CIDR blocks that what is derived (redirects, realms) may lead to, besides public ones. */
  readonly allowPrivate: readonly string[];
  /** Milliseconds since the epoch. */
  readonly now: () => number;
}

/** One question to an upstream. */
export interface Question {
  readonly method: 'GET' | 'HEAD';
  /** Behind the upstream's URL: `/v2/library/nginx/manifests/latest`, with a query where there is one. */
  readonly path: string;
  /** The token scope it needs, where a challenge names none. */
  readonly scope: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly purpose: 'api' | 'blob';
  /** Which redirects are followed; others are answers. @default every redirect */
  readonly follow?: (status: number) => boolean;
  /** Asks as a client without any right of ours would: no credential, no token, no header of the operator's. */
  readonly bare?: boolean;
  readonly signal?: AbortSignal | undefined;
}

/** What came of a question: the last answer of the chain. */
export interface Answer<T extends HttpHead> {
  readonly reply: T;
  /** Who gave it. */
  readonly url: URL;
  /** It came from where the upstream sent us. */
  readonly redirected: boolean;
  readonly visibility: Visibility;
  /** What answered is not on the public internet. */
  readonly inside: boolean;
}

/** The two ways to carry out an exchange: a small body read whole, or one that is pulled. */
interface Exchange<T extends HttpHead> {
  readonly send: (client: HttpClient, request: HttpRequest) => Promise<T>;
  /** Ends an answer that is not the last; gives what helps to name an error. */
  readonly discard: (reply: T) => Promise<Buffer>;
}

/** Where in a chain of redirects we are. */
interface Hop {
  readonly url: URL;
  readonly count: number;
  /** Still at the upstream's own origin, never having left it: here alone its credential and headers are sent. */
  readonly home: boolean;
  /** Everything that answered so far is off the public internet. */
  readonly inside: boolean;
  readonly addresses: AddressPolicy;
}

const MAX_ANSWERED_CHALLENGES = 2;
/** A token this old may have been withdrawn where a 403 says so; a younger one is believed to be refused for good. */
const RENEW_ON_DENIED_MS = 60_000;
/** A small exchange with all its body; without it, a byte now and then would hold a request for ever. */
const EXCHANGE_TIMEOUT_MS = 60_000;
const MAX_TOKEN_REPLY = 256 * 1024;
/** Messages told once each; an upstream that makes up new ones is not heard for ever. */
const MAX_WARNINGS = 32;
const ANY: AddressPolicy = { kind: 'any' };

/**
 * One place a registry's content can be had from: answers its challenges, follows its redirects, tells of each exchange.
 *
 * Credentials, tokens and the operator's headers go to the upstream's own origin and, once a redirect has left it, not
 * even there again.
 */
export class Upstream {
  readonly name: string;
  readonly spec: UpstreamSpec;
  readonly url: URL;
  readonly #registry: string;
  readonly #context: UpstreamContext;
  readonly #authorizer: Authorizer;
  readonly #headers: Readonly<Record<string, string>>;
  readonly #identified: boolean;
  /** What may be dialled at the upstream's own host, and where it leads. */
  readonly #named: AddressPolicy;
  readonly #derived: AddressPolicy;
  readonly #clients = new Map<Destination, Promise<HttpClient>>();
  readonly #warned = new Set<string>();

  constructor(registry: string, spec: UpstreamSpec, context: UpstreamContext) {
    this.name = spec.name;
    this.spec = spec;
    this.url = new URL(spec.url);
    this.#registry = registry;
    this.#context = context;
    this.#derived = { kind: 'public', allow: context.allowPrivate };
    this.#named = spec.addresses === 'public' ? this.#derived : ANY;
    this.#headers = ownHeaders(spec);
    this.#identified = identifiesUs(spec);
    this.#authorizer = new Authorizer({
      spec,
      now: context.now,
      derived: this.#derived,
      send: (request, addresses) => this.#fetchToken(request, addresses),
      warn: (message) => this.#warn(message),
    });
  }

  /** Asks, and reads the answer's body whole: at most `maxBytes`, else the upstream's answer is `invalid`. */
  fetch(question: Question, maxBytes: number): Promise<Answer<HttpReply>> {
    const milliseconds = EXCHANGE_TIMEOUT_MS;
    return this.#walk(question, {
      send: (client, request) =>
        withDeadline((signal) => client.fetch({ ...request, maxBytes, signal }), {
          milliseconds,
          signal: request.signal,
        }),
      discard: (reply) => Promise.resolve(reply.body),
    });
  }

  /** Asks with GET, and leaves the body to be pulled or cancelled. */
  open(question: Question): Promise<Answer<HttpStream>> {
    return this.#walk(question, {
      send: (client, request) => client.open(request),
      discard: (reply) => drain(reply.body),
    });
  }

  /** The failure that an answer means which is not the one hoped for; ends its body. */
  async failure(question: Question, answer: Answer<HttpReply | HttpStream>): Promise<UpstreamError> {
    const { reply, url, redirected } = answer;
    const body = Buffer.isBuffer(reply.body) ? reply.body : await drain(reply.body);
    return answerFailure({
      upstream: this.name,
      exchange: describeExchange(question.method, url),
      status: reply.status,
      headers: reply.headers,
      code: parseErrorCode(body),
      redirected,
      now: this.#context.now(),
    });
  }

  /** The failure that the upstream's answer cannot be right. */
  invalid(question: Question, why: string, cause?: unknown): UpstreamError {
    const url = new URL(this.spec.url + question.path);
    return new UpstreamError(`${this.name} answered ${describeExchange(question.method, url)} wrongly: ${why}`, {
      kind: 'invalid',
      upstream: this.name,
      cause,
    });
  }

  /** What a redirect of the upstream's may lead to. */
  addressesAfter(inside: boolean): AddressPolicy {
    return inside ? ANY : this.#derived;
  }

  async #walk<T extends HttpHead>(question: Question, exchange: Exchange<T>): Promise<Answer<T>> {
    const startedAt = this.#context.now();
    const authorizes = question.bare !== true && !('authorization' in this.#headers);
    const url = new URL(this.spec.url + question.path);
    let hop: Hop = { url, count: 0, home: true, inside: true, addresses: this.#named };
    let grant = authorizes ? await this.#authorizer.foresee(question.scope, question.signal) : undefined;
    let answered = 0;
    let isPrivate = false;
    for (;;) {
      question.signal?.throwIfAborted();
      const reply = await this.#exchange({ question, hop, grant, exchange });
      const inside = hop.inside && isInside(hostOf(hop.url), reply.remoteAddress);
      if (answered < MAX_ANSWERED_CHALLENGES && (authorizes || !hop.home)) {
        const next = await this.#renewed(reply, { question, hop, grant, inside, startedAt }).catch(async (error) => {
          await exchange.discard(reply);
          throw error;
        });
        if (next !== undefined) {
          await exchange.discard(reply);
          grant = next;
          answered += 1;
          continue;
        }
      }
      if (hop.home && question.bare !== true) isPrivate ||= this.#identified || grant?.private === true;
      if (!isRedirect(reply.status) || question.follow?.(reply.status) === false) {
        const visibility = isPrivate ? 'private' : 'public';
        return { reply, url: hop.url, redirected: hop.count > 0, visibility, inside };
      }
      await exchange.discard(reply);
      hop = this.#next(question, reply, { ...hop, inside });
      if (!hop.home) grant = undefined;
      answered = 0;
    }
  }

  /** What to ask again with, where the answer is a challenge that has not been answered as well as it can be. */
  async #renewed(
    reply: HttpHead,
    at: { question: Question; hop: Hop; grant: Grant | undefined; inside: boolean; startedAt: number },
  ): Promise<Grant | undefined> {
    const { question, hop, grant, inside } = at;
    const { scope, signal } = question;
    if (reply.status === 403) {
      if (!hop.home || grant === undefined || this.#context.now() - grant.grantedAt < RENEW_ON_DENIED_MS)
        return undefined;
      grant.refuse();
      return this.#authorizer.foresee(scope, signal);
    }
    if (reply.status !== 401) return undefined;
    grant?.refuse();
    // Refused although it was fetched for this very question: asking again would change nothing.
    if (grant !== undefined && grant.grantedAt >= at.startedAt) return undefined;
    const refusal = { header: reply.headers['www-authenticate'], scope, challenger: hop.url, inside, signal };
    const next = hop.home ? await this.#authorizer.answer(refusal) : await this.#authorizer.answerAnonymously(refusal);
    return next?.header === grant?.header ? undefined : next;
  }

  #next(question: Question, reply: HttpHead, hop: Hop): Hop {
    const addresses = this.addressesAfter(hop.inside);
    const decision = decideRedirect(reply.headers['location'], {
      from: hop.url,
      upstream: this.url,
      hops: hop.count,
      redirectHosts: this.spec.redirectHosts,
      addresses,
    });
    if (decision.kind === 'refused') {
      const exchange = describeExchange(question.method, hop.url);
      const message = `${this.name} answered ${exchange} with a redirect that is not followed: ${decision.reason}`;
      this.#warn(message);
      throw new UpstreamError(message, { kind: 'invalid', upstream: this.name, status: reply.status });
    }
    const { url } = decision;
    return {
      url,
      count: hop.count + 1,
      home: hop.home && url.origin === this.url.origin,
      inside: hop.inside,
      addresses: hostOf(url) === hostOf(this.url) ? this.#named : addresses,
    };
  }

  async #exchange<T extends HttpHead>(at: {
    question: Question;
    hop: Hop;
    grant: Grant | undefined;
    exchange: Exchange<T>;
  }): Promise<T> {
    const { question, hop, grant } = at;
    const own = hop.home && question.bare !== true;
    const headers = { ...(own ? this.#headers : {}), ...question.headers };
    if (grant !== undefined) headers['authorization'] = grant.header;
    const request: HttpRequest = {
      method: question.method,
      url: hop.url,
      headers,
      addresses: hop.addresses,
      ...(question.signal === undefined ? {} : { signal: question.signal }),
    };
    const client = await this.#client(own ? 'upstream' : 'redirect');
    return this.#told(request, hop.count === 0 ? question.purpose : 'redirect', () =>
      at.exchange.send(client, request),
    );
  }

  /** Carries out one exchange and publishes it, whatever becomes of it. */
  async #told<T extends HttpHead>(
    request: HttpRequest,
    purpose: UpstreamRequest['purpose'],
    send: () => Promise<T>,
  ): Promise<T> {
    const startedAt = performance.now();
    const tell = (status: number, error?: string): void =>
      this.#context.telemetry.publish('upstream.request', {
        registry: this.#registry,
        upstream: this.name,
        method: request.method,
        url: shownUrl(request.url),
        status,
        durationMs: performance.now() - startedAt,
        purpose,
        ...(error === undefined ? {} : { error }),
      });
    try {
      const reply = await send();
      tell(reply.status);
      return reply;
    } catch (error) {
      tell(0, error instanceof HttpError ? error.code : 'failed');
      request.signal?.throwIfAborted();
      throw exchangeFailure(error, {
        upstream: this.name,
        exchange: describeExchange(request.method, request.url),
      });
    }
  }

  async #fetchToken(token: TokenHttpRequest, addresses: AddressPolicy): Promise<GrantedToken> {
    const request: HttpRequest = { ...token, addresses };
    const client = await this.#client(hostOf(token.url) === hostOf(this.url) ? 'upstream' : 'token');
    const fetch = (signal: AbortSignal): Promise<HttpReply> =>
      client.fetch({ ...request, signal, maxBytes: MAX_TOKEN_REPLY });
    const reply = await this.#told(request, 'token', () => withDeadline(fetch, { milliseconds: EXCHANGE_TIMEOUT_MS }));
    const granted = reply.status === 200 ? parseTokenReply(reply.body) : undefined;
    if (granted !== undefined) return granted;
    throw tokenFailure(reply, { upstream: this.name, url: token.url, now: this.#context.now() });
  }

  /**
   * The client for the upstream itself, or for where it leads. There it has no client certificate; and nobody's
   * certificate goes unchecked where a credential is sent on an upstream's word.
   */
  async #client(to: Destination): Promise<HttpClient> {
    const known = this.#clients.get(to);
    if (known !== undefined) return known;
    const { tls, credentials } = this.spec;
    // Who has nothing that tells them apart may share connections; whoever has a credential shares with nobody.
    const key = tls === undefined && credentials === undefined ? '' : `${this.#registry} ${this.name} ${to}`;
    const made = Promise.resolve(this.#context.httpClientFor(tlsTowards(to, tls), key));
    this.#clients.set(to, made);
    try {
      return await made;
    } catch (error) {
      // A certificate file that is not there yet may be there next time.
      this.#clients.delete(to);
      const reason = error instanceof Error ? error.message : String(error);
      const message = `${this.name} cannot be asked, as its client cannot be made: ${reason}`;
      throw new UpstreamError(message, { kind: 'unavailable', upstream: this.name, cause: error });
    }
  }

  /** Tells the operator, once, of what only a change of the configuration can mend. */
  #warn(message: string): void {
    if (this.#warned.has(message) || this.#warned.size >= MAX_WARNINGS) return;
    this.#warned.add(message);
    this.#context.telemetry.publish('warning', { message });
  }
}

/** What a connection is for. */
type Destination = 'upstream' | 'redirect' | 'token';

function tlsTowards(to: Destination, tls: TlsSpec | undefined): TlsSpec | undefined {
  if (to === 'upstream' || tls === undefined) return tls;
  const { caFile, insecureSkipVerify } = tls;
  return {
    ...(caFile === undefined ? {} : { caFile }),
    ...(to === 'token' || insecureSkipVerify === undefined ? {} : { insecureSkipVerify }),
  };
}
