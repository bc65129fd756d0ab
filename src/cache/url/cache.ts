import { abortable, keyOf } from '../../lib/index.ts';
import { isOriginFailure, parseRange } from '../../oci/index.ts';
import type { UrlRecord } from '../../store/index.ts';
import type { CacheOutcome } from '../../telemetry/index.ts';
import {
  type Answering,
  type Asked,
  type Question,
  Revalidation,
  type RevalidationKey,
} from '../revalidation/index.ts';
import type { Ingest } from '../transfer/index.ts';
import { planRange } from '../transfer/index.ts';
import { failureOf } from './failure.ts';
import { mayBeServedStale, whyNotKept, whyNotShared } from './policy.ts';
import type { KeptUrl, UrlAnswer, UrlKey, UrlRequest, UrlResponse } from './request.ts';
import { StoredUrls, type StoredUrlsOptions } from './stored.ts';
import { isSameVersion, type UrlTransfer, UrlTransfers, type UrlTransfersOptions, withoutQuery } from './transfers.ts';
import { etagsMatch, hasValidator, strongValidator } from './validator.ts';

/** What may change while the server runs; asked for at each use. */
interface UrlPolicy {
  /** False: every response is passed on and none is kept. */
  readonly keep: boolean;
  readonly tags: {
    /** Milliseconds after which a stale answer is served while its upstream has not answered. @default 2000 */
    readonly staleAfter?: number;
  };
}

interface UrlCacheOptions extends Omit<StoredUrlsOptions, 'now'>, Pick<UrlTransfersOptions, 'store' | 'capacity'> {
  readonly policy: () => UrlPolicy;
  readonly now?: (() => number) | undefined;
}

/**
 * What came of asking the upstream for a URL. `renewed`: the stored record holds. `transfer`: there is another version, and
 * it is coming in. `response`: it is for the request alone that asked; `method` says what was asked. `failed`: the question of
 * that request failed, and another's may not, since its headers are others.
 */
type Resolution =
  | { readonly kind: 'renewed'; readonly record: UrlRecord }
  | { readonly kind: 'transfer'; readonly transfer: UrlTransfer; readonly release: () => void }
  | { readonly kind: 'response'; readonly method: UrlRequest['method']; readonly response: UrlResponse }
  | { readonly kind: 'failed'; readonly error: Error };

/** Times a request looks again because another's transfer began or ended meanwhile, or a stored blob is lost. */
const MAX_LOOKS = 8;

/**
 * Answers by URL: from the store, from a running transfer, or from the upstream.
 *
 * A record leads from a URL to a blob, which is kept, verified and evicted like any other. `policy.ts` decides what may be
 * kept, and `version.ts` that versions are never mixed.
 */
export class UrlCache {
  readonly #options: UrlCacheOptions;
  readonly #stored: StoredUrls;
  readonly #transfers: UrlTransfers;
  readonly #revalidation: Revalidation<Resolution>;
  readonly #stop = new AbortController();

  constructor(options: UrlCacheOptions) {
    const { policy, now = Date.now } = options;
    this.#options = options;
    this.#stored = new StoredUrls({ ...options, now });
    this.#transfers = new UrlTransfers({ ...options, records: this.#stored.records, now });
    const staleAfter = (): number | undefined => policy().tags.staleAfter;
    this.#revalidation = new Revalidation({ staleAfter, release, isForAsker, now });
  }

  /** The transfers that run now. */
  get transfers(): Iterable<Ingest> {
    return this.#transfers.ingests;
  }

  /** Rejects with what `request.open` rejects with, where no stored record may be served, and with the signal's reason. */
  async answer(key: UrlKey, request: UrlRequest): Promise<UrlAnswer> {
    if (!this.#options.policy().keep || !request.rules.enabled) return this.#pass(request);
    if (request.personal) return request.method === 'HEAD' ? this.#pass(request) : this.#getPersonal(key, request);
    return request.method === 'HEAD' ? this.#head(key, request) : this.#get(key, request);
  }

  /** Forgets the record of a URL, after an unsafe request to it (RFC 9111, section 4.4). */
  async invalidate(key: UrlKey): Promise<void> {
    this.#transfers.disown(key);
    await this.#stored.records.delete(key);
  }

  /** Forgets which URLs failed and which sites do not answer. */
  clearFailures(): void {
    this.#revalidation.clearFailures();
  }

  /** Ends every transfer and question; resolves when the transfers have settled. */
  async close(): Promise<void> {
    this.#stop.abort(new Error('The server is stopping'));
    await this.#revalidation.settled();
    await this.#transfers.close();
  }

  async #get(key: UrlKey, request: UrlRequest): Promise<UrlAnswer> {
    for (let look = 0; look < MAX_LOOKS; look += 1) {
      const joined = await this.#join(key, request);
      if (joined !== undefined) return joined;
      const record = await this.#stored.find(key, request);
      // A transfer may have begun during the read of the database.
      if (this.#transfers.get(key) !== undefined) continue;
      if (record !== undefined && this.#stored.holds(record, request)) {
        const hit = await this.#stored.serve(record, { outcome: 'HIT' }, request);
        if (hit !== undefined) return hit;
        if (this.#transfers.get(key) !== undefined) continue;
      }
      const asked = revalidationKey(key, 'GET', request);
      if (record === undefined && !this.#revalidation.isAsking(asked)) {
        if (isFar(request)) return this.#pass(request);
        if (isConditional(request)) return this.#ask(key, request, await this.#open(request, conditionsOf(request)));
      }
      const answer = await this.#revalidation.get(asked, this.#question(key, record, request));
      if (answer !== undefined) return answer;
    }
    return this.#pass(request);
  }

  /** Follows the running transfer; undefined where there is none. */
  async #join(key: UrlKey, request: UrlRequest): Promise<UrlAnswer | undefined> {
    for (let look = 0; look < MAX_LOOKS; look += 1) {
      const transfer = this.#transfers.get(key);
      if (transfer === undefined) return undefined;
      if (transfer.ingest.ending) await abortable(transfer.ingest.settled, request.signal);
      else return (await this.#transfers.follow(transfer, 'JOIN', request)) ?? this.#pass(request);
    }
    return undefined;
  }

  async #head(key: UrlKey, request: UrlRequest): Promise<UrlAnswer> {
    const running = this.#transfers.get(key);
    if (running !== undefined && !running.ingest.ending) {
      const kept = await this.#transfers.follow(running, 'JOIN', request);
      if (kept !== undefined) return kept;
    }
    const record = await this.#stored.find(key, request);
    if (record === undefined) return this.#pass(request);
    if (this.#stored.holds(record, request)) return this.#stored.head(record, { outcome: 'HIT' });
    const question = this.#question(key, record, request);
    // A failed GET counts for HEAD. A failed HEAD counts for HEAD alone, as some sites do not support it.
    const full = revalidationKey(key, 'GET', request);
    const unasked = await this.#revalidation.serveUnasked(full, question);
    if (unasked !== undefined) return unasked;
    const asked = this.#revalidation.isAsking(full) ? full : revalidationKey(key, 'HEAD', request);
    return (await this.#revalidation.get(asked, question)) ?? this.#pass(request);
  }

  /** Its answer is undefined where the request has to look again. */
  #question(
    key: UrlKey,
    record: UrlRecord | undefined,
    request: UrlRequest,
  ): Question<Resolution, UrlAnswer | undefined> {
    const mayBeStale = record !== undefined && mayBeServedStale(record.headers);
    return {
      ask: (isAwaited) =>
        this.#askForAll(() =>
          record !== undefined && request.method === 'HEAD'
            ? this.#askHead(key, record, request)
            : this.#askWhole(key, { record, isAwaited }, request),
        ),
      stale: mayBeStale ? (reason) => this.#stale(key, { record, reason }, request) : undefined,
      answer: (resolution, how) => this.#resolved(resolution, how, request),
      signal: request.signal,
    };
  }

  /** Serves the record as stale; undefined where its blob is lost. */
  async #stale(
    key: UrlKey,
    { record, reason }: { readonly record: UrlRecord; readonly reason: string },
    request: UrlRequest,
  ): Promise<KeptUrl | undefined> {
    const warning = `${reason}; serving what it said before`;
    const stale = await this.#stored.serve(record, { outcome: 'STALE', warning }, request);
    if (stale !== undefined) this.#decide(key, 'STALE', reason);
    return stale;
  }

  async #resolved(
    resolution: Resolution,
    { joined, claim }: Answering,
    request: UrlRequest,
  ): Promise<UrlAnswer | undefined> {
    if (resolution.kind === 'renewed') {
      return this.#stored.serve(resolution.record, { outcome: 'REVALIDATED' }, request);
    }
    if (resolution.kind === 'transfer') {
      const outcome = joined ? 'JOIN' : 'MISS';
      return (await this.#transfers.follow(resolution.transfer, outcome, request)) ?? this.#pass(request);
    }
    // Only the request that asked gets it, as its headers may have decided the answer; each of the others sends its own.
    if (!claim()) return this.#pass(request);
    if (resolution.kind === 'failed') throw resolution.error;
    if (isFor(resolution, request)) return { kind: 'through', response: resolution.response };
    resolution.response.body.cancel();
    return this.#pass(request);
  }

  /**
   * Asks on behalf of all that wait. A site that cannot be reached is the failure of all of them; any other failure may be due to
   * the request that asked.
   */
  async #askForAll(ask: () => Promise<Asked<Resolution>>): Promise<Asked<Resolution>> {
    try {
      return await ask();
    } catch (thrown) {
      const isUnreachable = isOriginFailure(thrown) && (thrown.kind === 'unavailable' || thrown.kind === 'offline');
      if (isUnreachable || this.#stop.signal.aborted) throw thrown;
      const error = thrown instanceof Error ? thrown : new Error(String(thrown));
      return { answer: { kind: 'failed', error }, failure: { error, isRefusal: false } };
    }
  }

  /** Asks the upstream to confirm the record, or for the content where there is none. */
  async #askWhole(
    key: UrlKey,
    { record, isAwaited }: { readonly record: UrlRecord | undefined; readonly isAwaited: () => boolean },
    request: UrlRequest,
  ): Promise<Asked<Resolution>> {
    const signal = this.#stopSignal();
    let response = await request.open({ method: 'GET', headers: confirmationOf(record), signal });
    const isConfirmed = response.status === 304 && record !== undefined && confirms(response, record);
    if (response.status === 304 && !isConfirmed) {
      response.body.cancel();
      if (record !== undefined) await this.#forgetUnshared(key, response);
      response = await request.open({ method: 'GET', headers: {}, signal });
    }
    const failure = failureOf(response, key.route);
    if (failure !== undefined) return { answer: { kind: 'response', method: 'GET', response }, failure };
    // Some upstreams send the whole although nothing has changed.
    const isUnchanged = response.status === 200 && isStillSo(response, record) && mayBeShared(response);
    if (record !== undefined && (isConfirmed || isUnchanged)) {
      response.body.cancel();
      return { answer: { kind: 'renewed', record: await this.#stored.renew(key, record, response) } };
    }
    const reason = this.#whyNotKept(key, response, request);
    if (reason === undefined && (isAwaited() || this.#transfers.mayContinueUnattended)) {
      const started = this.#transfers.start(key, response, request.open);
      if (started !== undefined) {
        if (!isAwaited()) started.transfer.ingest.continueUnattended();
        return { answer: { kind: 'transfer', ...started } };
      }
    }
    const isReplaced = response.status === 200 && reason !== undefined;
    if (record !== undefined && (isReplaced || isDeleted(response))) await this.#stored.records.delete(key);
    if (reason !== undefined) this.#decide(key, 'PASS', reason);
    return { answer: { kind: 'response', method: 'GET', response } };
  }

  /** Asks the upstream with a HEAD whether the record still holds. */
  async #askHead(key: UrlKey, record: UrlRecord, { open }: UrlRequest): Promise<Asked<Resolution>> {
    const response = await open({ method: 'HEAD', headers: {}, signal: this.#stopSignal() });
    const answer = { kind: 'response', method: 'HEAD', response } as const;
    const failure = failureOf(response, key.route);
    if (failure !== undefined) return { answer, failure };
    if (isDeleted(response)) await this.#stored.records.delete(key);
    if (response.status === 200) await this.#forgetUnshared(key, response);
    if (response.status !== 200 || !isStillSo(response, record) || !mayBeShared(response)) return { answer };
    response.body.cancel();
    return { answer: { kind: 'renewed', record: await this.#stored.renew(key, record, response) } };
  }

  /** Forgets a record that may no longer be shown to others, as the upstream says with a 304 or a HEAD. */
  async #forgetUnshared(key: UrlKey, response: UrlResponse): Promise<void> {
    if (mayBeShared(response)) return;
    this.#transfers.disown(key);
    await this.#stored.records.delete(key);
  }

  /** Answers a request with the response to its own question: kept where that is allowed and no transfer runs. */
  async #ask(key: UrlKey, request: UrlRequest, response: UrlResponse): Promise<UrlAnswer> {
    const reason = this.#whyNotKept(key, response, request);
    if (reason !== undefined) {
      this.#decide(key, 'PASS', reason);
      return { kind: 'through', response };
    }
    const running = this.#transfers.get(key);
    if (running !== undefined && isSameVersion(running, response)) {
      let kept: KeptUrl | undefined;
      try {
        kept = await this.#transfers.follow(running, 'JOIN', request);
      } catch (error) {
        response.body.cancel();
        throw error;
      }
      if (kept === undefined) return { kind: 'through', response };
      response.body.cancel();
      return kept;
    }
    const started = this.#transfers.start(key, response, request.open);
    if (started === undefined) return { kind: 'through', response };
    try {
      return (await this.#transfers.follow(started.transfer, 'MISS', request)) ?? (await this.#pass(request));
    } finally {
      started.release();
    }
  }

  /** A record is served only after the upstream has shown its content to these very credentials. */
  async #getPersonal(key: UrlKey, request: UrlRequest): Promise<UrlAnswer> {
    const running = this.#transfers.get(key);
    if (running !== undefined && !running.ingest.ending) {
      const kept = (await this.#mayHave(request, (head) => isSameVersion(running, head)))
        ? await this.#transfers.follow(running, 'JOIN', request)
        : undefined;
      return kept ?? this.#pass(request);
    }
    const record = await this.#stored.find(key, request);
    const kept = record === undefined ? undefined : await this.#confirmed(record, request);
    if (kept !== undefined) return kept;
    // A response to a range or a condition is less than the whole, and cannot be kept.
    if (request.range !== undefined || isConditional(request)) return this.#pass(request);
    return this.#ask(key, request, await this.#open(request, {}));
  }

  /** Serves the record, where the upstream confirms it with the client's own credentials. */
  async #confirmed(record: UrlRecord, request: UrlRequest): Promise<KeptUrl | undefined> {
    const validator = strongValidator(record.headers);
    const isConfirmed = await this.#mayHave(request, (head) =>
      validator === undefined ? request.rules.immutable && hasSize(head, record) : isStillSo(head, record),
    );
    return isConfirmed ? this.#stored.serve(record, { outcome: 'REVALIDATED' }, request) : undefined;
  }

  /** Whether a HEAD with the client's own credentials succeeds, and its headers are right. */
  async #mayHave({ open, signal }: UrlRequest, isIt: (head: UrlResponse) => boolean): Promise<boolean> {
    const head = await open({ method: 'HEAD', headers: {}, signal });
    head.body.cancel();
    // What it says to this client alone, such as a cookie, is not among the stored headers.
    return head.status === 200 && mayBeShared(head) && isIt(head);
  }

  /** Asks for the whole. If the client leaves, the request ends, but not a body that has begun: others may follow it. */
  async #open({ open, signal }: UrlRequest, headers: Readonly<Record<string, string>>): Promise<UrlResponse> {
    const left = new AbortController();
    const leave = (): void => left.abort(signal.reason);
    if (signal.aborted) leave();
    signal.addEventListener('abort', leave, { once: true });
    try {
      return await open({ method: 'GET', headers, signal: AbortSignal.any([left.signal, this.#stop.signal]) });
    } finally {
      signal.removeEventListener('abort', leave);
    }
  }

  #whyNotKept({ url }: UrlKey, { status, headers, length }: UrlResponse, request: UrlRequest): string | undefined {
    const { personal, rules } = request;
    return whyNotKept({ url, status, headers, length, personal, immutable: rules.immutable });
  }

  /** Passes the request on, and the response. */
  async #pass(request: UrlRequest): Promise<UrlAnswer> {
    const { method, open, signal, range, ifRange } = request;
    const headers = {
      ...conditionsOf(request),
      ...(range === undefined ? {} : { range }),
      ...(ifRange === undefined ? {} : { 'if-range': ifRange }),
    };
    return { kind: 'through', response: await open({ method, headers, signal }) };
  }

  /** A signal of its own for each question: listeners on the one signal of the server would pile up. */
  #stopSignal(): AbortSignal {
    return AbortSignal.any([this.#stop.signal]);
  }

  #decide({ route, url }: UrlKey, outcome: CacheOutcome, reason: string): void {
    const { telemetry } = this.#options;
    if (!telemetry.hears('cache.decision')) return;
    const repository = withoutQuery(url);
    telemetry.publish('cache.decision', { registry: `mirror:${route}`, repository, reference: '', outcome, reason });
  }
}

function revalidationKey(
  { route, url }: UrlKey,
  method: UrlRequest['method'],
  { hops }: Pick<UrlRequest, 'hops'>,
): RevalidationKey {
  // The site is a part of the name: after a reload, the same route may lead to another one.
  const site = URL.parse(url)?.origin ?? '';
  return { id: keyOf(method, route, url), registry: `${route} ${site}`, upstream: 'the upstream', hops };
}

function isForAsker({ kind }: Resolution): boolean {
  return kind === 'response' || kind === 'failed';
}

/** Frees what a resolution holds. */
function release(resolution: Resolution): void {
  if (resolution.kind === 'response') resolution.response.body.cancel();
  else if (resolution.kind === 'transfer') resolution.release();
}

function isDeleted({ status }: UrlResponse): boolean {
  return status === 404 || status === 410;
}

/** The headers that ask whether a record still holds. */
function confirmationOf(record: UrlRecord | undefined): Readonly<Record<string, string>> {
  const { etag, 'last-modified': modified } = record?.headers ?? {};
  if (etag !== undefined) return { 'if-none-match': etag };
  return modified === undefined ? {} : { 'if-modified-since': modified };
}

/**
 * Whether a 304 confirms this record for all requests (RFC 9111, section 4.3.4): it was asked for, its entity tag is the stored
 * one, without a tag its date is, and it does not make the answer private.
 */
function confirms(response: UrlResponse, record: UrlRecord): boolean {
  const { etag, 'last-modified': modified } = response.headers;
  const { headers: kept } = record;
  if (Object.keys(confirmationOf(record)).length === 0 || !mayBeShared(response)) return false;
  if (etag !== undefined) return etagsMatch(etag, kept['etag'], { weakly: true });
  return modified === undefined || kept['last-modified'] === undefined || modified === kept['last-modified'];
}

/** Whether the answer to an impersonal request may be shown to others. */
function mayBeShared({ headers }: UrlResponse): boolean {
  return whyNotShared(headers, { personal: false }) === undefined;
}

/** Whether a response has the very bytes of a record (RFC 9111, section 4.3.5). */
function isStillSo({ headers }: UrlResponse, record: UrlRecord | undefined): boolean {
  const validator = record && strongValidator(record.headers);
  return (
    record !== undefined && validator !== undefined && hasValidator(headers, validator) && hasSize({ headers }, record)
  );
}

function hasSize({ headers }: Pick<UrlResponse, 'headers'>, { size }: UrlRecord): boolean {
  return headers['content-length'] === undefined || headers['content-length'] === String(size);
}

function isConditional(request: UrlRequest): boolean {
  const { ifNoneMatch, ifModifiedSince } = request;
  return ifNoneMatch !== undefined || ifModifiedSince !== undefined || hasPrecondition(request);
}

/** Whether the client asks for one version, and for nothing where the upstream has another. */
function hasPrecondition({ ifMatch, ifUnmodifiedSince }: UrlRequest): boolean {
  return ifMatch !== undefined || ifUnmodifiedSince !== undefined;
}

/**
 * Whether a response can be this request's, although its question had neither the client's conditions nor its range. A 200
 * cannot where the client wants one version only, or a part and may not be able to use the whole.
 */
function isFor(
  { method, response }: { readonly method: UrlRequest['method']; readonly response: UrlResponse },
  request: UrlRequest,
): boolean {
  if (method !== request.method) return false;
  return method === 'HEAD' || response.status !== 200 || !(hasPrecondition(request) || request.range !== undefined);
}

function conditionsOf(request: UrlRequest): Readonly<Record<string, string>> {
  const { ifNoneMatch, ifModifiedSince, ifMatch, ifUnmodifiedSince } = request;
  return {
    ...(ifMatch === undefined ? {} : { 'if-match': ifMatch }),
    ...(ifUnmodifiedSince === undefined ? {} : { 'if-unmodified-since': ifUnmodifiedSince }),
    ...(ifNoneMatch === undefined ? {} : { 'if-none-match': ifNoneMatch }),
    ...(ifModifiedSince === undefined ? {} : { 'if-modified-since': ifModifiedSince }),
  };
}

/** Whether the client asks for a part that a transfer would reach late. */
function isFar({ range }: UrlRequest): boolean {
  const wanted = parseRange(range, undefined);
  return wanted.kind === 'part' && planRange(wanted.start, { written: 0, size: undefined }) === 'pass';
}
