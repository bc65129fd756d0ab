import type { AddressPolicy, HttpHead, HttpReply, HttpRequest, HttpStream, WrittenUrl } from '../net/index.ts';
import { isPrivateNetwork } from './address.ts';
import type { Authorization, Authorizer } from './auth/index.ts';
import { ANY, type ExchangeOptions, type UpstreamConnection } from './connection.ts';
import { drain } from './drain.ts';
import { describeExchange, UpstreamError } from './error.ts';
import { hostOf } from './host.ts';
import { decideRedirect, isRedirect } from './redirect.ts';
import type { UpstreamRequest, UpstreamResponse } from './upstream-request.ts';
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
}

/** Whether challenges to a request are answered: neither for an anonymous request nor over the operator's own header. */
export function mayAuthorize(request: UpstreamRequest, { headers }: UpstreamConnection): boolean {
  return request.anonymous !== true && !('authorization' in headers);
}

/** The URL of a request at the upstream itself. */
export function urlOf(request: Pick<UpstreamRequest, 'path'>, { spec }: UpstreamConnection): URL {
  return new URL(spec.url + request.path);
}

/** That URL as it is written. */
function writtenUrlOf(request: UpstreamRequest, connection: UpstreamConnection): WrittenUrl {
  const prefix = connection.url.pathname.replace(/\/$/, '');
  return { url: urlOf(request, connection), target: prefix + request.path };
}

/** Reads what is left of a body that is not passed on: at most 64 KiB, enough for an error code. */
export function readRest({ body }: HttpReply | HttpStream): Buffer | Promise<Buffer> {
  return Buffer.isBuffer(body) ? body : drain(body);
}

/** One request through its challenges and redirects, with one credential or none. */
export class RequestChain<T extends HttpReply | HttpStream> {
  readonly #request: UpstreamRequest;
  readonly #options: ChainOptions<T>;
  readonly #startedAt: number;
  #at: WrittenUrl;
  #addresses: AddressPolicy;
  #redirects = 0;
  /** No redirect has left the upstream's own origin so far: only then are its credential and headers sent. */
  #isHome = true;
  /** Every answer so far came from outside the public internet. */
  #isPrivateNetwork = true;
  #authorization: Authorization | undefined;

  constructor(request: UpstreamRequest, options: ChainOptions<T>) {
    const { connection } = options;
    this.#request = request;
    this.#options = options;
    this.#startedAt = connection.context.now();
    this.#at = writtenUrlOf(request, connection);
    this.#addresses = connection.named;
  }

  /** @returns the last answer of the chain */
  async run(): Promise<UpstreamResponse<T>> {
    const { scope, signal, anonymous = false, follow } = this.#request;
    const { connection, authorizer, onAnswer } = this.#options;
    const authorizes = mayAuthorize(this.#request, connection);
    if (authorizes) this.#authorization = await authorizer.preemptive(scope, signal);
    let answered = 0;
    let isPrivate = false;
    for (;;) {
      signal?.throwIfAborted();
      const reply = await this.#send();
      if (this.#isHome) onAnswer(reply, this.#authorization);
      const privateNetwork = this.#isPrivateNetwork && isPrivateNetwork(hostOf(this.#at.url), reply.remoteAddress);
      if (answered < MAX_ANSWERED_CHALLENGES && (authorizes || !this.#isHome)) {
        const renewed = await this.#renew(reply, privateNetwork);
        if (renewed !== undefined) {
          await readRest(reply);
          this.#authorization = renewed;
          answered += 1;
          continue;
        }
      }
      if (this.#isHome && !anonymous) isPrivate ||= connection.isIdentified || this.#authorization?.private === true;
      if (!isRedirect(reply.status) || follow?.(reply.status) === false) {
        const visibility = isPrivate ? 'private' : 'public';
        return { reply, ...this.#at, redirected: this.#redirects > 0, visibility, privateNetwork };
      }
      await readRest(reply);
      this.#follow(reply, privateNetwork);
      answered = 0;
    }
  }

  #send(): Promise<T> {
    const { method, signal, kind, anonymous, via } = this.#request;
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
      ...(signal === undefined ? {} : { signal }),
    };
    const purpose = this.#redirects > 0 ? 'redirect' : kind === 'blob' ? 'blob' : 'api';
    return connection.exchange(httpRequest, { purpose, destination: isOwn ? 'upstream' : 'redirect', send });
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
    const { scope, loginOnly = false, signal } = this.#request;
    const { connection, authorizer } = this.#options;
    const current = this.#authorization;
    if (status === 403 && this.#isHome && current !== undefined) {
      if (connection.context.now() - current.grantedAt < RENEW_ON_DENIED_MS) return undefined;
      current.refuse();
      return authorizer.preemptive(scope, signal);
    }
    if (status !== 401) return undefined;
    current?.refuse();
    // Refused although it was fetched for this very request: another would be refused as well.
    if (current !== undefined && current.grantedAt >= this.#startedAt) return undefined;
    const header = headers['www-authenticate'];
    const challenge = { header, scope, loginOnly, challenger: this.#at.url, privateNetwork, signal };
    return this.#isHome ? authorizer.answer(challenge) : authorizer.answerAnonymously(challenge);
  }

  #follow(reply: T, privateNetwork: boolean): void {
    const { connection } = this.#options;
    const { spec, url: upstream, derived, named } = connection;
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
    this.#addresses = hostOf(decision.url) === hostOf(upstream) ? named : addresses;
    this.#redirects += 1;
    this.#isPrivateNetwork = privateNetwork;
    this.#isHome &&= decision.url.origin === upstream.origin;
    if (!this.#isHome) this.#authorization = undefined;
  }
}
