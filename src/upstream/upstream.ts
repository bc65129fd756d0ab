import { Recent } from '../lib/index.ts';
import type { AddressPolicy, HttpHead, HttpReply, HttpStream } from '../net/index.ts';
import type { CredentialSource, UploadPlace, UpstreamSpec } from '../oci/index.ts';
import { type Authorization, Authorizer, CredentialPool } from './auth/index.ts';
import { blockOf } from './blocked.ts';
import { ANY, type ExchangeOptions, UpstreamConnection } from './connection.ts';
import type { UpstreamContext } from './context.ts';
import {
  answerFailure,
  describeExchange,
  kindOfAnswer,
  loopText,
  parseErrorCode,
  parseRetryAfter,
  UpstreamError,
} from './error.ts';
import { HeadSupport } from './head-support.ts';
import {
  Health,
  type HealthPermit,
  type HealthSignal,
  type HealthView,
  judgeAnswer,
  judgeBody,
  judgeError,
} from './health/index.ts';
import { parseRateLimit, type Quota } from './rate-limit.ts';
import { type RedirectTarget, SharedTargets } from './redirects/index.ts';
import { type AnyRequest, mayAuthorize, RequestChain, readRest, urlOf } from './request-chain.ts';
import { Pace, type Question, rateBody } from './strategy/index.ts';
import { placeOf } from './upload-place.ts';
import type { PushRequest, RequestKind, UpstreamRequest, UpstreamResponse } from './upstream-request.ts';
import { watchBody } from './watch-body.ts';

/** How long an upstream that gave a wrong blob is asked for it after the others. */
const WRONG_FOR_MS = 10 * 60_000;

/** How long it is known which token pushes to a repository need. */
const GRANTED_FOR_MS = 10 * 60_000;

type Send<T> = ExchangeOptions<T>['send'];

const sendOpen: Send<HttpStream> = (client, httpRequest) => client.open(httpRequest);

/**
 * One upstream of a registry: its health, its credentials, and the failures that its answers mean.
 *
 * While it is down or throttles, requests to it fail at once. Of several credentials, one is used until its rate limit runs
 * low. Credentials, tokens and the operator's headers go to the upstream's own origin only; once a redirect has left that
 * origin, not even back to it.
 */
export class Upstream {
  readonly name: string;
  readonly spec: UpstreamSpec;
  readonly url: URL;
  /**
   * The digests of blobs that it gave wrongly: a page, other bytes, a body that never reaches its end. For these other
   * upstreams are asked first. It has failed for these alone, so its circuit stays as it is.
   */
  readonly wrongBlobs: Recent;
  /** Whether it answers HEAD. */
  readonly heads: HeadSupport;
  /** The redirects that the requests of a transfer share. */
  readonly targets: SharedTargets;
  /** How fast it answers. */
  readonly pace: Pace;
  readonly #connection: UpstreamConnection;
  readonly #health: Health;
  /** The scopes of pushes that it has taken lately, or has challenged. */
  readonly #granted: Recent;
  /** One authorizer for each credential; one without a credential where none is configured. */
  readonly #pool: CredentialPool<Authorizer>;

  constructor(registry: string, spec: UpstreamSpec, context: UpstreamContext) {
    const connection = new UpstreamConnection(registry, spec, context);
    const { now, random = Math.random, telemetry } = context;
    this.name = spec.name;
    this.spec = spec;
    this.url = connection.url;
    this.wrongBlobs = new Recent({ most: 1000, lasts: WRONG_FOR_MS, now });
    this.heads = new HeadSupport(now);
    this.targets = new SharedTargets(now);
    this.pace = new Pace(now);
    this.#connection = connection;
    this.#granted = new Recent({ most: 1000, lasts: GRANTED_FOR_MS, now });
    this.#health = new Health({ registry, upstream: spec.name, telemetry, now, random });
    const authorizerFor = (credential: CredentialSource | undefined) => new Authorizer(connection, credential);
    const [first, ...rest] = [spec.credentials ?? []].flat();
    this.#pool = new CredentialPool([authorizerFor(first), ...rest.map(authorizerFor)], now);
  }

  /** The hosts of its blobs that do not know Range. */
  get rangeRefusals(): Recent {
    return this.#connection.rangeRefusals;
  }

  /** Whether a request of a kind would fail at once, as the upstream is known to be down or throttles. Makes no request. */
  refuses(kind: RequestKind): boolean {
    return this.#health.stateFor(kind) === 'open';
  }

  /** Reads the answer's body whole: at most `maxBytes`, else the answer is `invalid`. */
  async fetch(request: UpstreamRequest, maxBytes: number): Promise<UpstreamResponse<HttpReply>> {
    const { method, signal } = request;
    const permit = this.#health.admit(request.kind);
    const send: Send<HttpReply> = (client, httpRequest) => client.fetch({ ...httpRequest, maxBytes });
    const answer = await this.#judged(permit, () =>
      this.#connection.inTime({ method, url: urlOf(request, this.#connection), signal }, (bounded) =>
        this.#ask({ ...request, signal: bounded }, send),
      ),
    );
    permit.settle(this.#verdict(answer));
    this.#measure(request, answer);
    return answer;
  }

  /** Leaves the answer's body to be read or cancelled. */
  async open(request: UpstreamRequest): Promise<UpstreamResponse<HttpStream>> {
    const permit = this.#health.admit(request.kind);
    const answer = await this.#judged(permit, () => this.#ask(request, sendOpen));
    const verdict = this.#verdict(answer);
    const { reply } = answer;
    if (verdict.kind !== 'answered' || (reply.status !== 200 && reply.status !== 206)) {
      permit.settle(verdict);
      return answer;
    }
    // The head alone proves nothing: storages have been seen to send no body after it.
    permit.reached();
    this.#measure(request, answer);
    const watched = watchBody(reply.body, {
      begun: () => permit.settle(verdict),
      broken: (error) => permit.settle(judgeBody(error)),
      left: () => permit.settle({ kind: 'nothing' }),
    });
    const { pace } = this;
    const { meter } = reply;
    const isRated = pace.isRated && meter !== undefined && request.kind === 'blob';
    const body = isRated ? rateBody(watched, { meter, told: (rate) => pace.sent(rate) }) : watched;
    return { ...answer, reply: { ...reply, body } };
  }

  /**
   * As {@link open}, but begins where an earlier request was redirected to. The upstream itself is not asked: one that is down is no
   * obstacle, and a storage that fails says nothing about its health. A storage that throttles is not asked for a while, as after
   * any redirect to it.
   */
  async openAt(target: RedirectTarget, request: UpstreamRequest): Promise<UpstreamResponse<HttpStream>> {
    const permit = this.#health.admitElsewhere(request.kind);
    try {
      const answer = await this.#run(request, { authorizer: this.#pool.first, send: sendOpen, from: target });
      permit.settle(this.#verdict(answer));
      return answer;
    } catch (error) {
      permit.settle({ kind: 'nothing' });
      throw error;
    }
  }

  /**
   * Sends a request that changes something, with the first credential: an upload belongs to the account that began it. Reads
   * 64 KiB of the answer's body.
   *
   * The exchange itself has no time as a whole: a body takes as long as its sender needs. Rejects with the error of the body's
   * sender where that is the reason.
   */
  async push(request: PushRequest): Promise<UpstreamResponse<HttpReply>> {
    const { body } = request;
    const permit = this.#health.admit(request.kind);
    const send: Send<HttpReply> = async (client, httpRequest) => {
      try {
        const stream = await client.open(httpRequest);
        return { ...stream, body: await readRest(stream) };
      } catch (error) {
        throw body?.faultOf(error) ?? error;
      }
    };
    const ask = (asked: PushRequest) => this.#run(asked, { authorizer: this.#pool.first, send });
    const answer = await this.#judged(permit, async () => {
      // A balancer may say 100 Continue before the registry has seen the token: a body would be sent in vain.
      if (body?.isAnnounced === true && !this.#granted.has(request.scope)) await ask(questionBefore(request));
      return ask(request);
    });
    permit.settle(this.#verdict(answer));
    if (answer.reply.status !== 401) this.#granted.add(request.scope);
    return answer;
  }

  /** Where an answer says that an upload goes on. @throws {UpstreamError} `invalid` where no request may be sent there */
  placeIn(request: PushRequest, answer: UpstreamResponse<HttpReply>): UploadPlace {
    const found = placeOf(answer, this.#connection);
    if ('reason' in found) throw this.invalid(request, found.reason);
    return found;
  }

  /** What a question would meet now: at once a failure, the probe of a failing upstream, or an upstream that answers. */
  stateFor({ content, method }: Pick<Question, 'content' | 'method'>): 'up' | 'trying' | 'resting' {
    return STATES[this.#health.stateFor(kindOf(content, method))];
  }

  /** Its health, and what is left of its rate limits; makes no request. */
  health(): HealthView & { readonly quota?: readonly Quota[] } {
    const quota = this.#pool.quotas();
    return { ...this.#health.view(), ...(quota.length === 0 ? {} : { quota }) };
  }

  /** The failure that an unwanted answer means; ends its body. */
  async failure(request: UpstreamRequest, answer: UpstreamResponse<HttpReply | HttpStream>): Promise<UpstreamError> {
    const { reply, url, redirected } = answer;
    const failure = answerFailure({
      upstream: this.name,
      exchange: describeExchange(request.method, url),
      status: reply.status,
      headers: reply.headers,
      code: parseErrorCode(await readRest(reply)),
      redirected,
      now: this.#connection.context.now(),
    });
    if (failure.kind === 'loop') {
      const { registry } = this.#connection;
      this.#connection.warn(`Upstream ${this.name} of ${registry} answers 508 Loop Detected: ${loopText(this.name)}`);
    }
    return failure;
  }

  /** The failure that an answer cannot be right. @param status given where that tells why */
  invalid(request: AnyRequest, why: string, status?: number): UpstreamError {
    const exchange = describeExchange(request.method, urlOf(request, this.#connection));
    const { name } = this;
    return new UpstreamError(`${name} answered ${exchange} wrongly: ${why}`, {
      kind: 'invalid',
      upstream: name,
      ...(status !== undefined && { status }),
    });
  }

  /** Where a redirect of the upstream may lead. */
  addressesAfter(privateNetwork: boolean): AddressPolicy {
    return privateNetwork ? ANY : this.#connection.derived;
  }

  /** Reports an error on the way to an answer to the upstream's health. */
  async #judged<T>(permit: HealthPermit, ask: () => Promise<T>): Promise<T> {
    try {
      return await ask();
    } catch (error) {
      permit.settle(judgeError(error));
      throw error;
    }
  }

  /** Of answers with content: an upstream that is quick to say that it lacks something is not fast. */
  #measure({ kind }: UpstreamRequest, { reply, respondedMs }: UpstreamResponse<HttpHead>): void {
    if (respondedMs === undefined || kind === 'list' || (reply.status !== 200 && reply.status !== 206)) return;
    this.pace.answered(kind === 'blob' ? 'blob' : 'manifest', respondedMs);
  }

  #verdict({ reply, redirected }: UpstreamResponse<HttpHead>): HealthSignal {
    const blockedBy = blockOf(reply)?.by;
    return judgeAnswer({ status: reply.status, retryAfter: this.#retryAfter(reply), redirected, blockedBy });
  }

  /**
   * Tries one credential after the other until one is neither throttled nor refused. Mostly the first one is enough.
   *
   * @throws {UpstreamError} `throttled` where one of them may be used later
   */
  async #ask<T extends HttpReply | HttpStream>(request: UpstreamRequest, send: Send<T>): Promise<UpstreamResponse<T>> {
    const pool = this.#pool;
    const { kind } = request;
    if (!mayAuthorize(request, this.#connection) || pool.size === 1)
      return this.#run(request, { authorizer: pool.first, send });
    const tried = new Set<Authorizer>();
    for (let authorizer = pool.choose(kind, tried); authorizer !== undefined; ) {
      tried.add(authorizer);
      const outcome = await this.#run(request, { authorizer, send }).catch(orRefusal);
      const refusal = this.#refusalOf(outcome);
      if (refusal === undefined && !(outcome instanceof UpstreamError)) return outcome;
      if (refusal?.kind === 'throttled') pool.park(authorizer, kind, refusal.retryAfter);
      // Refused by the token service, a credential is useless; refused by the registry, perhaps for this repository only.
      else if (outcome instanceof UpstreamError) pool.refuse(authorizer);
      authorizer = pool.choose(kind, tried);
      if (authorizer === undefined && pool.wait(kind) === undefined) {
        if (outcome instanceof UpstreamError) throw outcome;
        return outcome;
      }
      if (!(outcome instanceof UpstreamError)) await readRest(outcome.reply);
    }
    throw new UpstreamError(`${this.name} throttles each of its ${pool.size} credentials`, {
      kind: 'throttled',
      upstream: this.name,
      status: 429,
      retryAfter: Math.ceil((pool.wait(kind) ?? 0) / 1000),
    });
  }

  #run<T extends HttpReply | HttpStream>(
    request: AnyRequest,
    {
      authorizer,
      send,
      from,
    }: { readonly authorizer: Authorizer; readonly send: Send<T>; readonly from?: RedirectTarget },
  ): Promise<UpstreamResponse<T>> {
    const countsPulls = request.kind === 'pull' || request.kind === 'check';
    const onAnswer = (reply: HttpHead, authorization: Authorization | undefined): void => {
      if (countsPulls && reply.status !== 401) this.#noteRateLimit(reply, { authorizer, authorization });
    };
    return new RequestChain(request, { connection: this.#connection, authorizer, send, onAnswer, from }).run();
  }

  /** What another credential may change: a 429 or a refusal, by the upstream itself or its token service. */
  #refusalOf(
    outcome: UpstreamResponse<HttpHead> | UpstreamError,
  ): Pick<UpstreamError, 'kind' | 'retryAfter'> | undefined {
    if (outcome instanceof UpstreamError) return outcome;
    const { reply, redirected } = outcome;
    const kind = kindOfAnswer(reply, redirected);
    if (redirected || (kind !== 'throttled' && kind !== 'denied')) return undefined;
    return { kind, retryAfter: this.#retryAfter(reply) };
  }

  #retryAfter({ headers }: HttpHead): number | undefined {
    return parseRetryAfter(headers['retry-after'], this.#connection.context.now());
  }

  /** Notes the rate limit that an answer about a manifest states. */
  #noteRateLimit(
    reply: HttpHead,
    { authorizer, authorization }: { authorizer: Authorizer; authorization: Authorization | undefined },
  ): void {
    const limit = parseRateLimit(reply.headers);
    if (limit === undefined) return;
    const credential = (authorization?.private === true ? authorizer.username : undefined) ?? 'anonymous';
    const quota: Quota = { credential, ...limit };
    const { registry, context } = this.#connection;
    this.#pool.observe(authorizer, quota);
    context.telemetry.publish('upstream.quota', { registry, upstream: this.name, ...quota });
  }
}

/** A refusal that is thrown, of the token service, as a value; any other error is thrown on. */
function orRefusal(error: unknown): UpstreamError {
  if (error instanceof UpstreamError && (error.kind === 'denied' || error.kind === 'throttled')) return error;
  throw error;
}

const STATES = { closed: 'up', 'half-open': 'trying', open: 'resting' } as const;

function kindOf(content: Question['content'], method: Question['method']): RequestKind {
  if (content !== 'manifest') return content;
  return method === 'HEAD' ? 'check' : 'pull';
}

/** Asks how far an upload is, which is challenged as its next bytes are. */
function questionBefore(request: PushRequest): PushRequest {
  return { ...request, method: 'GET', headers: {}, body: undefined, isLong: false };
}

/** The repository's name at an upstream; empty for the catalogue. */
export function nameAt({ spec }: Pick<Upstream, 'spec'>, repository: string): string {
  const { repositoryPrefix: prefix } = spec;
  return prefix === undefined || repository === '' ? repository : `${prefix}/${repository}`;
}
