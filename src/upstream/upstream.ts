import {
  type AddressPolicy,
  type HttpClient,
  HttpError,
  type HttpHead,
  type HttpReply,
  type HttpRequest,
  type HttpStream,
} from '../net/index.ts';
import type { CredentialSource, UpstreamSpec } from '../oci/index.ts';
import type { UpstreamRequestEnded } from '../telemetry/index.ts';
import { isPrivateNetwork } from './address.ts';
import {
  type Authorization,
  Authorizer,
  CredentialPool,
  type GrantedToken,
  parseTokenReply,
  type TokenHttpRequest,
} from './auth/index.ts';
import type { UpstreamContext } from './context.ts';
import { withDeadline } from './deadline.ts';
import { DestinationClients } from './destination-clients.ts';
import { drain } from './drain.ts';
import {
  answerFailure,
  describeExchange,
  exchangeFailure,
  kindOfStatus,
  parseErrorCode,
  parseRetryAfter,
  shownUrl,
  tokenFailure,
  UpstreamError,
} from './error.ts';
import {
  Health,
  type HealthSignal,
  type HealthView,
  judgeAnswer,
  judgeBody,
  judgeError,
  type Permit,
} from './health/index.ts';
import { hostOf } from './host.ts';
import { identifiesUs, ownHeaders } from './own-headers.ts';
import { parseRateLimit, type Quota } from './rate-limit.ts';
import { decideRedirect, isRedirect } from './redirect.ts';
import type { UpstreamRequest, UpstreamResponse } from './upstream-request.ts';
import { watchBody } from './watch-body.ts';

/** The two ways to carry out an exchange: a small body read whole, or one that is pulled. */
interface Exchange<T extends HttpHead> {
  readonly send: (client: HttpClient, httpRequest: HttpRequest) => Promise<T>;
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
  readonly privateNetwork: boolean;
  readonly addresses: AddressPolicy;
}

const MAX_ANSWERED_CHALLENGES = 2;
/** A token this old may have been withdrawn where a 403 says so; a younger one is believed to be refused for good. */
const RENEW_ON_DENIED_MS = 60_000;
/** Without it, a byte now and then would hold a question for ever, and each exchange of many could take its own time. */
const ANSWER_TIMEOUT_MS = 50_000;
const MAX_TOKEN_REPLY = 256 * 1024;
/** Messages told once each; an upstream that makes up new ones is not heard for ever. */
const MAX_WARNINGS = 32;
const ANY: AddressPolicy = { kind: 'any' };

/**
 * One place a registry's content can be had from: answers its challenges, follows its redirects, tells of each exchange.
 *
 * An upstream that is down or throttles is left alone for a while, and questions then fail at once. Where there are several
 * credentials, one is used until its budget runs low.
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
  readonly #health: Health;
  /** One for each credential; one with none where there is no credential. */
  readonly #pool: CredentialPool<Authorizer>;
  readonly #headers: Readonly<Record<string, string>>;
  readonly #identified: boolean;
  /** What may be dialled at the upstream's own host, and where it leads. */
  readonly #named: AddressPolicy;
  readonly #derived: AddressPolicy;
  readonly #clients: DestinationClients;
  readonly #warned = new Set<string>();

  constructor(registry: string, spec: UpstreamSpec, context: UpstreamContext) {
    this.name = spec.name;
    this.spec = spec;
    this.url = new URL(spec.url);
    this.#registry = registry;
    this.#context = context;
    this.#derived = { kind: 'public', allow: context.allowPrivate };
    this.#clients = new DestinationClients({ registry, spec, httpClientFor: context.httpClientFor });
    this.#named = spec.addresses === 'public' ? this.#derived : ANY;
    this.#headers = ownHeaders(spec);
    this.#identified = identifiesUs(spec);
    const { now, random = Math.random, telemetry } = context;
    this.#health = new Health({ registry, upstream: spec.name, telemetry, now, random });
    const authorizerFor = (credential: CredentialSource | undefined): Authorizer =>
      new Authorizer({
        spec,
        credential,
        now,
        derived: this.#derived,
        send: (httpRequest, addresses) => this.#fetchToken(httpRequest, addresses),
        warn: (message) => this.#warn(message),
      });
    const [first, ...rest] = credentialsOf(spec);
    this.#pool = new CredentialPool([authorizerFor(first), ...rest.map(authorizerFor)], now);
  }

  /** Asks, and reads the answer's body whole: at most `maxBytes`, else the upstream's answer is `invalid`. */
  async fetch(request: UpstreamRequest, maxBytes: number): Promise<UpstreamResponse<HttpReply>> {
    const pass = this.#health.admit(request.kind);
    const exchange: Exchange<HttpReply> = {
      send: (client, httpRequest) => client.fetch({ ...httpRequest, maxBytes }),
      discard: (reply) => Promise.resolve(reply.body),
    };
    const answer = await this.#judged(pass, () =>
      this.#inTime(describeExchange(request.method, this.#urlOf(request)), {
        signal: request.signal,
        ask: (signal) => this.#ask({ ...request, signal }, exchange),
      }),
    );
    pass.settle(this.#verdict(answer));
    return answer;
  }

  /** Asks with GET, and leaves the body to be pulled or cancelled. */
  async open(request: UpstreamRequest): Promise<UpstreamResponse<HttpStream>> {
    const pass = this.#health.admit(request.kind);
    const exchange: Exchange<HttpStream> = {
      send: (client, httpRequest) => client.open(httpRequest),
      discard: (reply) => drain(reply.body),
    };
    const answer = await this.#judged(pass, () => this.#ask(request, exchange));
    const verdict = this.#verdict(answer);
    const { reply } = answer;
    if (verdict.kind !== 'answered' || (reply.status !== 200 && reply.status !== 206)) {
      pass.settle(verdict);
      return answer;
    }
    // A head alone is not the answer to such a question: storages have been seen to send nothing after it.
    pass.reached();
    const body = watchBody(reply.body, {
      begun: () => pass.settle(verdict),
      broken: (error) => pass.settle(judgeBody(error)),
      left: () => pass.settle({ kind: 'nothing' }),
    });
    return { ...answer, reply: { ...reply, body } };
  }

  /** How it fares, and what is left of its limits. Asks nobody. */
  health(): HealthView & { readonly quota?: readonly Quota[] } {
    const quota = this.#pool.quotas();
    return { ...this.#health.view(), ...(quota.length === 0 ? {} : { quota }) };
  }

  /** The failure that an answer means which is not the one hoped for; ends its body. */
  async failure(request: UpstreamRequest, answer: UpstreamResponse<HttpReply | HttpStream>): Promise<UpstreamError> {
    const { reply, url, redirected } = answer;
    const body = Buffer.isBuffer(reply.body) ? reply.body : await drain(reply.body);
    return answerFailure({
      upstream: this.name,
      exchange: describeExchange(request.method, url),
      status: reply.status,
      headers: reply.headers,
      code: parseErrorCode(body),
      redirected,
      now: this.#context.now(),
    });
  }

  /** The failure that the upstream's answer cannot be right. */
  invalid(request: UpstreamRequest, why: string, cause?: unknown): UpstreamError {
    const exchange = describeExchange(request.method, this.#urlOf(request));
    return new UpstreamError(`${this.name} answered ${exchange} wrongly: ${why}`, {
      kind: 'invalid',
      upstream: this.name,
      cause,
    });
  }

  /** What a redirect of the upstream's may lead to. */
  addressesAfter(privateNetwork: boolean): AddressPolicy {
    return privateNetwork ? ANY : this.#derived;
  }

  /** True where challenges are answered: not for somebody without our rights, and not over the operator's own header. */
  #authorizes(request: UpstreamRequest): boolean {
    return request.anonymous !== true && !('authorization' in this.#headers);
  }

  #urlOf(request: UpstreamRequest): URL {
    return new URL(this.spec.url + request.path);
  }

  /** Tells the upstream's health of an error on the way to an answer. */
  async #judged<T>(pass: Permit, ask: () => Promise<T>): Promise<T> {
    try {
      return await ask();
    } catch (error) {
      pass.settle(judgeError(error));
      throw error;
    }
  }

  #verdict({ reply, redirected }: UpstreamResponse<HttpHead>): HealthSignal {
    const retryAfter = parseRetryAfter(reply.headers['retry-after'], this.#context.now());
    return judgeAnswer({ status: reply.status, retryAfter, redirected });
  }

  /** Lets something take no longer than an answer may. @param what as {@link describeExchange} gives it */
  #inTime<T>(
    what: string,
    { ask, signal }: { ask: (signal: AbortSignal) => Promise<T>; signal?: AbortSignal | undefined },
  ): Promise<T> {
    const milliseconds = this.#context.answerTimeout ?? ANSWER_TIMEOUT_MS;
    const late = (): UpstreamError => {
      const cause = new HttpError('timeout', `there was no whole answer within ${milliseconds / 1000} s`);
      return exchangeFailure(cause, { upstream: this.name, exchange: what });
    };
    return withDeadline(ask, { milliseconds, signal, late });
  }

  /**
   * Asks with one credential after the other, until one is neither throttled nor refused. Mostly the first one does.
   *
   * @throws {UpstreamError} `throttled` where one of them may be used later
   */
  async #ask<T extends HttpHead>(request: UpstreamRequest, exchange: Exchange<T>): Promise<UpstreamResponse<T>> {
    const pool = this.#pool;
    const { kind } = request;
    if (!this.#authorizes(request) || pool.size === 1) return this.#walk(request, { exchange, authorizer: pool.first });
    const tried = new Set<Authorizer>();
    for (let authorizer = pool.choose(kind, tried); authorizer !== undefined; ) {
      tried.add(authorizer);
      const outcome = await this.#walk(request, { exchange, authorizer }).catch(orRefusal);
      const refusal = this.#refusalOf(outcome);
      if (refusal === undefined && !(outcome instanceof UpstreamError)) return outcome;
      if (refusal?.kind === 'throttled') pool.park(authorizer, kind, refusal.retryAfter);
      // Refused by the token service it is no good for anything; by the registry, perhaps for this repository alone.
      else if (outcome instanceof UpstreamError) pool.refuse(authorizer);
      authorizer = pool.choose(kind, tried);
      if (authorizer === undefined && pool.wait(kind) === undefined) {
        if (outcome instanceof UpstreamError) throw outcome;
        return outcome;
      }
      if (!(outcome instanceof UpstreamError)) await exchange.discard(outcome.reply);
    }
    throw new UpstreamError(`${this.name} throttles each of its ${pool.size} credentials`, {
      kind: 'throttled',
      upstream: this.name,
      status: 429,
      retryAfter: Math.ceil((pool.wait(kind) ?? 0) / 1000),
    });
  }

  /** What another credential may change: a 429, or a refusal, of the upstream's own or of its token service. */
  #refusalOf(
    outcome: UpstreamResponse<HttpHead> | UpstreamError,
  ): Pick<UpstreamError, 'kind' | 'retryAfter'> | undefined {
    if (outcome instanceof UpstreamError) return outcome;
    const { reply, redirected } = outcome;
    const kind = kindOfStatus(reply.status, redirected);
    if (redirected || (kind !== 'throttled' && kind !== 'denied')) return undefined;
    return { kind, retryAfter: parseRetryAfter(reply.headers['retry-after'], this.#context.now()) };
  }

  /** Reads what an answer about a manifest says of the limit that it counts against. */
  #readLimit(
    reply: HttpHead,
    { authorizer, grant }: { authorizer: Authorizer; grant: Authorization | undefined },
  ): void {
    const limit = reply.status === 401 ? undefined : parseRateLimit(reply.headers);
    if (limit === undefined) return;
    const credential = (grant?.private === true ? authorizer.username : undefined) ?? 'anonymous';
    const quota: Quota = { credential, ...limit };
    this.#pool.observe(authorizer, quota);
    this.#context.telemetry.publish('upstream.quota', { registry: this.#registry, upstream: this.name, ...quota });
  }

  async #walk<T extends HttpHead>(
    request: UpstreamRequest,
    { exchange, authorizer }: { exchange: Exchange<T>; authorizer: Authorizer },
  ): Promise<UpstreamResponse<T>> {
    const startedAt = this.#context.now();
    const authorizes = this.#authorizes(request);
    const countsPulls = request.kind === 'pull' || request.kind === 'check';
    let hop: Hop = { url: this.#urlOf(request), count: 0, home: true, privateNetwork: true, addresses: this.#named };
    let grant = authorizes ? await authorizer.preemptive(request.scope, request.signal) : undefined;
    let answered = 0;
    let isPrivate = false;
    for (;;) {
      request.signal?.throwIfAborted();
      const reply = await this.#exchange({ request, hop, grant, exchange });
      if (countsPulls && hop.home) this.#readLimit(reply, { authorizer, grant });
      const privateNetwork = hop.privateNetwork && isPrivateNetwork(hostOf(hop.url), reply.remoteAddress);
      if (answered < MAX_ANSWERED_CHALLENGES && (authorizes || !hop.home)) {
        const next = await this.#renewed(reply, { request, authorizer, hop, grant, privateNetwork, startedAt }).catch(
          async (error) => {
            await exchange.discard(reply);
            throw error;
          },
        );
        if (next !== undefined) {
          await exchange.discard(reply);
          grant = next;
          answered += 1;
          continue;
        }
      }
      if (hop.home && request.anonymous !== true) isPrivate ||= this.#identified || grant?.private === true;
      if (!isRedirect(reply.status) || request.follow?.(reply.status) === false) {
        const visibility = isPrivate ? 'private' : 'public';
        return { reply, url: hop.url, redirected: hop.count > 0, visibility, privateNetwork };
      }
      await exchange.discard(reply);
      hop = this.#next(request, reply, { ...hop, privateNetwork });
      if (!hop.home) grant = undefined;
      answered = 0;
    }
  }

  /** What to ask again with, where the answer is a challenge that has not been answered as well as it can be. */
  async #renewed(
    reply: HttpHead,
    at: {
      request: UpstreamRequest;
      authorizer: Authorizer;
      hop: Hop;
      grant: Authorization | undefined;
      privateNetwork: boolean;
      startedAt: number;
    },
  ): Promise<Authorization | undefined> {
    const { request, authorizer, hop, grant, privateNetwork } = at;
    const { scope, loginOnly = false, signal } = request;
    if (reply.status === 403) {
      if (!hop.home || grant === undefined || this.#context.now() - grant.grantedAt < RENEW_ON_DENIED_MS)
        return undefined;
      grant.refuse();
      return authorizer.preemptive(scope, signal);
    }
    if (reply.status !== 401) return undefined;
    grant?.refuse();
    // Refused although it was fetched for this very question: asking again would change nothing.
    if (grant !== undefined && grant.grantedAt >= at.startedAt) return undefined;
    const header = reply.headers['www-authenticate'];
    const refusal = { header, scope, loginOnly, challenger: hop.url, privateNetwork, signal };
    const next = hop.home ? await authorizer.answer(refusal) : await authorizer.answerAnonymously(refusal);
    return next?.header === grant?.header ? undefined : next;
  }

  #next(request: UpstreamRequest, reply: HttpHead, hop: Hop): Hop {
    const addresses = this.addressesAfter(hop.privateNetwork);
    const decision = decideRedirect(reply.headers['location'], {
      from: hop.url,
      upstream: this.url,
      hops: hop.count,
      redirectHosts: this.spec.redirectHosts,
      addresses,
    });
    if (decision.kind === 'refused') {
      const exchange = describeExchange(request.method, hop.url);
      const message = `${this.name} answered ${exchange} with a redirect that is not followed: ${decision.reason}`;
      this.#warn(message);
      throw new UpstreamError(message, { kind: 'invalid', upstream: this.name, status: reply.status });
    }
    const { url } = decision;
    return {
      url,
      count: hop.count + 1,
      home: hop.home && url.origin === this.url.origin,
      privateNetwork: hop.privateNetwork,
      addresses: hostOf(url) === hostOf(this.url) ? this.#named : addresses,
    };
  }

  async #exchange<T extends HttpHead>(at: {
    request: UpstreamRequest;
    hop: Hop;
    grant: Authorization | undefined;
    exchange: Exchange<T>;
  }): Promise<T> {
    const { request, hop, grant } = at;
    const own = hop.home && request.anonymous !== true;
    const headers = { ...(own ? this.#headers : {}), ...request.headers };
    if (grant !== undefined) headers['authorization'] = grant.header;
    const httpRequest: HttpRequest = {
      method: request.method,
      url: hop.url,
      headers,
      addresses: hop.addresses,
      ...(request.signal === undefined ? {} : { signal: request.signal }),
    };
    const client = await this.#clients.to(own ? 'upstream' : 'redirect');
    const purpose = request.kind === 'blob' ? 'blob' : 'api';
    return this.#told(httpRequest, hop.count === 0 ? purpose : 'redirect', () => at.exchange.send(client, httpRequest));
  }

  /** Carries out one exchange and publishes it, whatever becomes of it. */
  async #told<T extends HttpHead>(
    httpRequest: HttpRequest,
    purpose: UpstreamRequestEnded['purpose'],
    send: () => Promise<T>,
  ): Promise<T> {
    const startedAt = performance.now();
    const tell = (status: number, error?: string): void =>
      this.#context.telemetry.publish('upstream.request', {
        registry: this.#registry,
        upstream: this.name,
        method: httpRequest.method,
        url: shownUrl(httpRequest.url),
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
      httpRequest.signal?.throwIfAborted();
      throw exchangeFailure(error, {
        upstream: this.name,
        exchange: describeExchange(httpRequest.method, httpRequest.url),
        redirected: purpose === 'redirect',
      });
    }
  }

  async #fetchToken(token: TokenHttpRequest, addresses: AddressPolicy): Promise<GrantedToken> {
    const httpRequest: HttpRequest = { ...token, addresses };
    const client = await this.#clients.to(hostOf(token.url) === hostOf(this.url) ? 'upstream' : 'token');
    const exchange = describeExchange(httpRequest.method, httpRequest.url);
    const reply = await this.#inTime(exchange, {
      ask: (signal) =>
        this.#told({ ...httpRequest, signal }, 'token', () =>
          client.fetch({ ...httpRequest, signal, maxBytes: MAX_TOKEN_REPLY }),
        ),
    });
    const granted = reply.status === 200 ? parseTokenReply(reply.body) : undefined;
    if (granted !== undefined) return granted;
    throw tokenFailure(reply, { upstream: this.name, url: token.url, now: this.#context.now() });
  }

  /** Tells the operator, once, of what only a change of the configuration can mend. */
  #warn(message: string): void {
    if (this.#warned.has(message) || this.#warned.size >= MAX_WARNINGS) return;
    this.#warned.add(message);
    this.#context.telemetry.publish('warning', { message });
  }
}

/** A refusal that is thrown, of the token service, as a value; any other error is thrown on. */
function orRefusal(error: unknown): UpstreamError {
  if (error instanceof UpstreamError && (error.kind === 'denied' || error.kind === 'throttled')) return error;
  throw error;
}

/** The credentials of an upstream, in order; one that is none where nothing is configured. */
function credentialsOf({ credentials }: UpstreamSpec): readonly [CredentialSource | undefined, ...CredentialSource[]] {
  const [first, ...rest] = [credentials ?? []].flat();
  return [first, ...rest];
}
