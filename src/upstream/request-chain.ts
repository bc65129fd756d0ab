import { drain } from '../lib/index.ts';
import type { AddressPolicy, HttpHead, HttpReply, HttpRequest, HttpStream, WrittenUrl } from '../net/index.ts';
import { isPrivateNetwork } from './address.ts';
import type { Authorization, Authorizer } from './auth/index.ts';
import { ANY, type ExchangeOptions, type UpstreamConnection } from './connection.ts';
import { describeExchange, UpstreamError } from './error.ts';
import { hostOf } from './host.ts';
import { decideRedirect, isRedirect, type RedirectTarget } from './redirects/index.ts';
import type { PushRequest, UpstreamRequest, UpstreamResponse } from './upstream-request.ts';
import { withVia } from './with-via.ts';

const MAX_ANSWERED_CHALLENGES = 2;
/** A 403 may mean that a token this old was revoked; to a younger one it is taken as final. */
const RENEW_ON_DENIED_MS = 60_000;

/** How a chain sends its requests, and who learns from the answers. */
export interface ChainOptions<T> extends Pick<ExchangeOptions<T>, 'send'> {
  readonly connection: UpstreamConnection;
  readonly authorizer: Authorizer;
  /** Called with each answer of the upstream itself, and what the request was authorized by. */
  readonly onAnswer: (reply: HttpHead, authorization: Authorization | undefined) => void;
  /** Begins where an earlier chain has ended, as if it had been redirected there now. @default at the upstream */
  readonly from?: RedirectTarget | undefined;
}

/** Whether challenges to a request are answered: neither for an anonymous request nor over the operator's own header. */
export function mayAuthorize(request: UpstreamRequest, { headers }: UpstreamConnection): boolean {
  return request.anonymous !== true && !('authorization' in headers);
}

/** A request that reads, or one that changes something. */
export type AnyRequest = UpstreamRequest & Partial<Pick<PushRequest, 'at' | 'body' | 'isLong'>>;

/** The URL that a request is sent to. */
export function urlOf({ path, at }: Pick<AnyRequest, 'path' | 'at'>, { spec }: UpstreamConnection): URL {
  return new URL(at?.url ?? spec.url + path);
}

/** That URL as it is written. */
function writtenUrlOf(request: AnyRequest, connection: UpstreamConnection): WrittenUrl {
  const { at } = request;
  if (at !== undefined) {
    const url = new URL(at.url);
    return { url, target: at.url.slice(url.origin.length) };
  }
  const prefix = connection.url.pathname.replace(/\/$/, '');
  return { url: urlOf(request, connection), target: prefix + request.path };
}

/** Milliseconds that an upstream has to put a blob or an image together. Storages copy some gigabytes in this time. */
const LONG_ANSWER = 300_000;

/** Reads what is left of a body that is not passed on: at most 64 KiB, enough for an error code. */
export function readRest({ body }: HttpReply | HttpStream): Buffer | Promise<Buffer> {
  return Buffer.isBuffer(body) ? body : drain(body);
}

/** One request through its challenges and redirects, with one credential or none. */
export class RequestChain<T extends HttpReply | HttpStream> {
  readonly #request: AnyRequest;
  readonly #options: ChainOptions<T>;
  readonly #startedAt: number;
  #at: WrittenUrl;
  #addresses: AddressPolicy;
  #redirects: number;
  /** It has not left the upstream's own origin so far: only then are its credential and headers sent. */
  #isHome: boolean;
  /** Every answer so far came from outside the public internet. */
  #isPrivateNetwork: boolean;
  #authorization: Authorization | undefined;
  /** Milliseconds that its answers took so far, but for challenges. */
  #respondedMs = 0;
  /** Whether the server is asked before a body is sent. */
  #isAnnounced: boolean;

  constructor(request: AnyRequest, options: ChainOptions<T>) {
    const { connection, from } = options;
    this.#request = request;
    this.#options = options;
    this.#startedAt = connection.context.now();
    this.#at = from === undefined ? writtenUrlOf(request, connection) : { url: from.url, target: from.target };
    this.#redirects = from?.redirects ?? 0;
    this.#isHome = from === undefined && this.#at.url.origin === connection.url.origin;
    this.#isPrivateNetwork = from?.privateNetwork ?? request.at?.privateNetwork ?? true;
    this.#addresses = this.#addressesOf(this.#at.url, this.#isPrivateNetwork);
    this.#isAnnounced = request.body?.isAnnounced ?? false;
  }

  /** What may be dialled at a host that an answer has named. */
  #addressesOf(url: URL, privateNetwork: boolean): AddressPolicy {
    const { derived, named, url: upstream } = this.#options.connection;
    if (hostOf(url) === hostOf(upstream)) return named;
    return privateNetwork ? ANY : derived;
  }

  /** Whether the request can be sent again. */
  get #isRepeatable(): boolean {
    return this.#request.body?.isSpent !== true;
  }

  /** @returns the last answer of the chain */
  async run(): Promise<UpstreamResponse<T>> {
    const { scope, signal, via, anonymous = false, follow } = this.#request;
    const { connection, authorizer, onAnswer, from } = this.#options;
    const authorizes = mayAuthorize(this.#request, connection);
    if (authorizes && this.#isHome) this.#authorization = await authorizer.preemptive(scope, { signal, via });
    let answered = 0;
    let isPrivate = from?.visibility === 'private';
    for (;;) {
      signal?.throwIfAborted();
      const reply = await this.#send();
      this.#respondedMs += reply.respondedMs ?? 0;
      if (this.#isHome) onAnswer(reply, this.#authorization);
      const privateNetwork = this.#isPrivateNetwork && isPrivateNetwork(hostOf(this.#at.url), reply.remoteAddress);
      if (reply.status === 417 && this.#isAnnounced && this.#isRepeatable) {
        await readRest(reply);
        this.#isAnnounced = false;
        continue;
      }
      // What is sent once is not sent again; its next request begins with another token.
      if (!this.#isRepeatable && reply.status === 401) this.#authorization?.refuse();
      if (answered < MAX_ANSWERED_CHALLENGES && this.#isRepeatable && (authorizes || !this.#isHome)) {
        const renewed = await this.#renew(reply, privateNetwork);
        if (renewed !== undefined) {
          await readRest(reply);
          this.#authorization = renewed;
          this.#respondedMs -= reply.respondedMs ?? 0;
          answered += 1;
          continue;
        }
      }
      if (this.#isHome && !anonymous) isPrivate ||= connection.isIdentified || this.#authorization?.private === true;
      if (!isRedirect(reply.status) || follow?.(reply.status) === false || !this.#isRepeatable) {
        const visibility = isPrivate ? 'private' : 'public';
        const redirects = this.#redirects;
        const away = { ...this.#at, redirects, visibility, privateNetwork: this.#isPrivateNetwork } as const;
        return {
          reply,
          ...this.#at,
          redirected: redirects > 0,
          visibility,
          privateNetwork,
          away: this.#isHome || redirects === 0 ? undefined : away,
          respondedMs: this.#respondedMs,
        };
      }
      await readRest(reply);
      this.#follow(reply, privateNetwork);
      answered = 0;
    }
  }

  #send(): Promise<T> {
    const { method, signal, kind, anonymous, via, isLong = false } = this.#request;
    const { connection, send } = this.#options;
    const isOwn = this.#isHome && anonymous !== true;
    const headers = withVia({ ...(isOwn ? connection.headers : {}), ...this.#request.headers }, via);
    if ('range' in headers && connection.rangeRefusals.has(this.#at.url.host)) delete headers['range'];
    if (this.#authorization !== undefined) headers['authorization'] = this.#authorization.header;
    const httpRequest: HttpRequest = {
      method,
      ...this.#at,
      headers,
      addresses: this.#addresses,
      ...this.#body(),
      ...(isLong ? { responseHeaderTimeout: this.#longAnswer } : {}),
      ...(signal === undefined ? {} : { signal }),
    };
    const purpose = this.#redirects > 0 ? 'redirect' : kind === 'blob' ? 'blob' : 'api';
    return connection.exchange(httpRequest, { purpose, destination: isOwn ? 'upstream' : 'redirect', send, via });
  }

  #body(): Pick<HttpRequest, 'body' | 'expectContinue'> {
    const { body } = this.#request;
    return body === undefined ? {} : { body: body.attempt(), expectContinue: this.#isAnnounced };
  }

  get #longAnswer(): number {
    return Math.max(this.#options.connection.spec.transport.upstream.responseHeaderTimeout, LONG_ANSWER);
  }

  /** The authorization for a second attempt; undefined where a new authorization would change nothing. */
  async #renew(reply: T, privateNetwork: boolean): Promise<Authorization | undefined> {
    const current = this.#authorization;
    try {
      const renewed = await this.#answerChallenge(reply, privateNetwork);
      return reply.status === 401 && renewed?.header === current?.header ? undefined : renewed;
    } catch (error) {
      await readRest(reply);
      throw error;
    }
  }

  async #answerChallenge({ status, headers }: T, privateNetwork: boolean): Promise<Authorization | undefined> {
    const { scope, loginOnly = false, kind, insists = kind === 'push', signal, via } = this.#request;
    const { connection, authorizer } = this.#options;
    const current = this.#authorization;
    if (status === 403 && this.#isHome && current !== undefined) {
      if (connection.context.now() - current.grantedAt < RENEW_ON_DENIED_MS) return undefined;
      current.refuse();
      return authorizer.preemptive(scope, { signal, via });
    }
    if (status !== 401) return undefined;
    current?.refuse();
    // Refused although it was fetched for this very request: another would be refused as well.
    if (current !== undefined && current.grantedAt >= this.#startedAt) return undefined;
    const header = headers['www-authenticate'];
    const challenge = {
      header,
      scope,
      loginOnly,
      insists,
      challenger: this.#at.url,
      privateNetwork,
      signal,
      via,
    };
    return this.#isHome ? authorizer.answer(challenge) : authorizer.answerAnonymously(challenge);
  }

  #follow(reply: T, privateNetwork: boolean): void {
    const { connection } = this.#options;
    const { spec, url: upstream, derived } = connection;
    const addresses = privateNetwork ? ANY : derived;
    const decision = decideRedirect(reply.headers['location'], {
      from: this.#at.url,
      target: this.#at.target,
      upstream,
      hops: this.#redirects,
      redirectHosts: spec.redirectHosts,
      addresses,
    });
    if (decision.kind === 'refused') {
      const exchange = describeExchange(this.#request.method, this.#at.url);
      const message = `${spec.name} answered ${exchange} with a redirect that is not followed: ${decision.reason}`;
      connection.warn(message);
      throw new UpstreamError(message, { kind: 'invalid', upstream: spec.name, status: reply.status });
    }
    this.#at = { url: decision.url, target: decision.target };
    this.#addresses = this.#addressesOf(decision.url, privateNetwork);
    this.#redirects += 1;
    this.#isPrivateNetwork = privateNetwork;
    this.#isHome &&= decision.url.origin === upstream.origin;
    if (!this.#isHome) this.#authorization = undefined;
  }
}
