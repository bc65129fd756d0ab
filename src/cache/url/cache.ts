import { abortable, keyOf } from '../../lib/index.ts';
import { parseRange } from '../../oci/index.ts';
import type { BlobStore, UrlRecord } from '../../store/index.ts';
import type { CacheOutcome } from '../../telemetry/index.ts';
import { BackOff, type Failure, UnresponsiveRegistries } from '../revalidation/index.ts';
import type { Ingest } from '../transfer/index.ts';
import { planRange } from '../transfer/index.ts';
import { isFailure, statusReason, UrlFailureError } from './failure.ts';
import { UrlFlight, type UrlResolution } from './flight.ts';
import { mayBeServedStale, whyNotKept } from './policy.ts';
import type { KeptUrl, UrlAnswer, UrlKey, UrlRequest, UrlResponse } from './request.ts';
import { StoredUrls, type StoredUrlsOptions } from './stored.ts';
import { isSameVersion, nothingOf, UrlTransfers } from './transfers.ts';
import { hasValidator, strongValidator } from './validator.ts';

export interface UrlCacheOptions extends Omit<StoredUrlsOptions, 'now'> {
  readonly store: BlobStore;
  /** False: everything is passed on. */
  readonly keep: boolean;
  /** Whether the disk has room for a body of so many bytes. @default always */
  readonly mayKeep?: (size: number | undefined) => boolean;
  /** Resolves when it is decided which of the transfers under way are kept. */
  readonly decided?: () => Promise<void>;
  /** Told where the disk refuses to take a body. */
  readonly onRefusal?: (error: unknown) => void;
  /** Milliseconds after which what is here is served while its upstream thinks. @default 2000 */
  readonly staleAfter?: number | undefined;
  readonly now?: (() => number) | undefined;
}

/** Why an upstream is not waited for. */
const SILENT = 'the upstream has not answered lately';

const DEFAULT_STALE_AFTER = 2000;

/** Node fires a longer one at once. */
const LONGEST_TIMER = 2 ** 31 - 1;

/** Times a request looks again because another's transfer began or ended meanwhile, or a file is gone. */
const MAX_LOOKS = 8;

/**
 * Answers by URL: from the store, from a transfer that runs, or from the upstream.
 *
 * An answer is a record that leads to a blob, and blobs are what everything else here knows how to keep, check and evict.
 * What may be kept is decided in url-policy.ts; that versions are never mixed, in url-version.ts.
 */
export class UrlCache {
  readonly #options: UrlCacheOptions;
  readonly #stored: StoredUrls;
  readonly #transfers: UrlTransfers;
  readonly #flights = new Map<string, UrlFlight>();
  readonly #backOff: BackOff;
  readonly #silence: UnresponsiveRegistries;
  readonly #stop = new AbortController();

  constructor(options: UrlCacheOptions) {
    const { store, metadata, verification, readTimes, inUse, telemetry, mayKeep, decided, onRefusal } = options;
    const { now = Date.now } = options;
    this.#options = options;
    this.#stored = new StoredUrls({ metadata, verification, readTimes, inUse, telemetry, now });
    const { records } = this.#stored;
    this.#transfers = new UrlTransfers({
      store,
      metadata,
      records,
      verification,
      telemetry,
      mayKeep,
      decided,
      onRefusal,
      now,
    });
    this.#backOff = new BackOff(now);
    this.#silence = new UnresponsiveRegistries(now);
  }

  /** The transfers that run now. */
  get transfers(): Iterable<Ingest> {
    return this.#transfers.ingests;
  }

  /** Rejects with what `request.open` rejects with, where nothing older may be served, and with the signal's reason. */
  async answer(key: UrlKey, request: UrlRequest): Promise<UrlAnswer> {
    if (!this.#options.keep || !request.rules.enabled) return this.#pass(request);
    if (request.personal) return request.method === 'HEAD' ? this.#pass(request) : this.#getPersonal(key, request);
    return request.method === 'HEAD' ? this.#head(key, request) : this.#get(key, request);
  }

  /** Forgets what is kept of a URL, after something was done to it there (RFC 9111, section 4.4). */
  async invalidate(key: UrlKey): Promise<void> {
    this.#transfers.disown(key);
    await this.#stored.records.delete(key);
  }

  /** Forgets which upstreams are in trouble, after something was taken out of the database. */
  forget(): void {
    this.#backOff.clear();
    this.#silence.clear();
  }

  /** Ends every transfer and question; resolves when the transfers have settled. */
  async close(): Promise<void> {
    this.#stop.abort(new Error('The server is stopping'));
    await Promise.all([...this.#flights.values()].map((flight) => flight.resolution));
    await this.#transfers.close();
  }

  async #get(key: UrlKey, request: UrlRequest): Promise<UrlAnswer> {
    for (let look = 0; look < MAX_LOOKS; look += 1) {
      const joined = await this.#join(key, request);
      if (joined !== undefined) return joined;
      const record = await this.#stored.find(key, request);
      // One may have begun while the database was asked.
      if (this.#transfers.get(key) !== undefined) continue;
      if (record !== undefined && this.#stored.holds(record, request)) {
        const hit = await this.#stored.serve(record, { outcome: 'HIT' }, request);
        if (hit !== undefined) return hit;
        if (this.#transfers.get(key) !== undefined) continue;
      }
      const trouble = this.#backOff.get(idOf(key));
      const resting = record === undefined ? undefined : await this.#rest(key, { record, trouble }, request);
      if (resting !== undefined) return resting;
      if (this.#transfers.get(key) !== undefined) continue;
      if (record === undefined && !this.#flights.has(idOf(key)) && isFar(request)) return this.#pass(request);
      if (record === undefined && !this.#flights.has(idOf(key)) && isConditional(request)) {
        return this.#ask(key, request, await this.#open(request, conditionsOf(request)));
      }
      const answer = await this.#await(key, record, request);
      if (answer !== undefined) return answer;
    }
    return this.#pass(request);
  }

  /** What a transfer that runs gives; undefined where there is none. */
  async #join(key: UrlKey, request: UrlRequest): Promise<UrlAnswer | undefined> {
    for (let look = 0; look < MAX_LOOKS; look += 1) {
      const transfer = this.#transfers.get(key);
      if (transfer === undefined) return undefined;
      if (transfer.ingest.ending) await abortable(transfer.ingest.settled, request.signal);
      else return (await this.#transfers.follow(transfer, 'JOIN', request)) ?? this.#pass(request);
    }
    return undefined;
  }

  /** What is here, where its upstream is left alone or asked behind it, since it is in trouble. */
  async #rest(
    key: UrlKey,
    { record, trouble }: { readonly record: UrlRecord; readonly trouble: Failure | undefined },
    request: UrlRequest,
  ): Promise<KeptUrl | undefined> {
    const isBackingOff = trouble !== undefined && this.#backOff.isBackingOff(trouble);
    if (!isBackingOff && !this.#silence.has(key.route)) return undefined;
    const reason = trouble?.error.message ?? SILENT;
    const stale = await this.#stale(key, { record, reason }, request);
    if (stale !== undefined && !isBackingOff) this.#fly(key, record, request);
    return stale;
  }

  /** Asks the upstream together with everyone who asks now; undefined: look again. */
  async #await(key: UrlKey, record: UrlRecord | undefined, request: UrlRequest): Promise<UrlAnswer | undefined> {
    const isFirst = !this.#flights.has(idOf(key));
    const flight = this.#fly(key, record, request);
    const leave = flight.join();
    try {
      const waited = record !== undefined && mayBeServedStale(record.headers) ? flight.late : undefined;
      const resolved = waited === undefined ? flight.resolution : Promise.race([flight.resolution, waited]);
      const resolution = await abortable(resolved, request.signal);
      if (resolution === undefined && record !== undefined) {
        const reason = this.#lateReason;
        const stale = await this.#stale(key, { record, reason }, request);
        if (stale !== undefined) return stale;
      }
      const final = resolution ?? (await abortable(flight.resolution, request.signal));
      return await this.#resolved(key, { flight, resolution: final, record, isFirst }, request);
    } finally {
      leave();
    }
  }

  async #resolved(
    key: UrlKey,
    how: {
      readonly flight: UrlFlight;
      readonly resolution: UrlResolution;
      readonly record: UrlRecord | undefined;
      readonly isFirst: boolean;
    },
    request: UrlRequest,
  ): Promise<UrlAnswer | undefined> {
    const { flight, resolution, record } = how;
    if (resolution.kind === 'renewed')
      return this.#stored.serve(resolution.record, { outcome: 'REVALIDATED' }, request);
    if (resolution.kind === 'transfer') {
      const outcome = how.isFirst ? 'MISS' : 'JOIN';
      return (await this.#transfers.follow(resolution.transfer, outcome, request)) ?? this.#pass(request);
    }
    const isFailure = resolution.kind === 'error' || resolution.failed;
    if (isFailure && record !== undefined) {
      const reason = resolution.kind === 'error' ? resolution.error.message : statusReason(resolution.response);
      const stale = await this.#stale(key, { record, reason }, request);
      if (stale !== undefined) return stale;
    }
    if (resolution.kind === 'error') throw resolution.error;
    const response = isForThis(resolution.response, request) ? flight.take(resolution) : undefined;
    // It was for one of those who waited; each of the others asks for itself.
    return response === undefined ? this.#pass(request) : { kind: 'through', response };
  }

  /** The question about a URL that is under way, or a new one. */
  #fly(key: UrlKey, record: UrlRecord | undefined, request: UrlRequest): UrlFlight {
    const id = idOf(key);
    const running = this.#flights.get(id);
    if (running !== undefined) return running;
    const flight = new UrlFlight((isWaitedFor) => this.#resolve(key, { record, isWaitedFor }, request), {
      lateAfter: this.#staleAfter,
      onLate: () => this.#silence.begun(key.route),
    });
    this.#flights.set(id, flight);
    void flight.resolution.then(() => this.#flights.delete(id));
    return flight;
  }

  /** Asks whether what is here holds, or for what there is. */
  async #resolve(
    key: UrlKey,
    { record, isWaitedFor }: { readonly record: UrlRecord | undefined; readonly isWaitedFor: () => boolean },
    request: UrlRequest,
  ): Promise<UrlResolution> {
    const id = idOf(key);
    try {
      const signal = AbortSignal.any([this.#stop.signal]);
      let response = await request.open({ method: 'GET', headers: confirmationOf(record), signal });
      if (response.status === 304 && (record === undefined || !confirms(response, record))) {
        response.body.cancel();
        response = await request.open({ method: 'GET', headers: {}, signal });
      }
      this.#silence.broken(key.route);
      if (isFailure(response)) {
        this.#backOff.failed(id, new UrlFailureError(response, key.route), { isRefusal: false });
        return { kind: 'answer', response, failed: true };
      }
      this.#backOff.answered(id);
      // Some answer with all of it although nothing has changed.
      if (
        record !== undefined &&
        (response.status === 304 || (response.status === 200 && isStillSo(response, record)))
      ) {
        response.body.cancel();
        return { kind: 'renewed', record: await this.#stored.renew(key, record, response) };
      }
      return await this.#arrived(key, { response, record, isWaitedFor }, request);
    } catch (error) {
      if (error instanceof Error && !this.#stop.signal.aborted) this.#backOff.failed(id, error, { isRefusal: false });
      throw error;
    }
  }

  /** There is something else than what is here. */
  async #arrived(
    key: UrlKey,
    how: {
      readonly response: UrlResponse;
      readonly record: UrlRecord | undefined;
      readonly isWaitedFor: () => boolean;
    },
    request: UrlRequest,
  ): Promise<UrlResolution> {
    const { response, record } = how;
    const reason = this.#whyNotKept(key, response, request);
    if (reason === undefined && (how.isWaitedFor() || this.#transfers.mayGoOnAlone)) {
      const started = this.#transfers.start(key, response, request.open);
      if (started !== undefined) {
        if (!how.isWaitedFor()) this.#transfers.continueUnattended(started.transfer);
        return { kind: 'transfer', ...started };
      }
    }
    const isGone = response.status === 200 ? reason !== undefined : response.status === 404 || response.status === 410;
    if (record !== undefined && isGone) await this.#stored.records.delete(key);
    if (reason !== undefined) this.#decide(key, 'PASS', reason);
    return { kind: 'answer', response, failed: false };
  }

  /** What a request gets of an answer to a question of its own: it is kept where that is allowed, and it is the first. */
  async #ask(key: UrlKey, request: UrlRequest, response: UrlResponse): Promise<UrlAnswer> {
    const reason = this.#whyNotKept(key, response, request);
    if (reason !== undefined) {
      this.#decide(key, 'PASS', reason);
      return { kind: 'through', response };
    }
    const running = this.#transfers.get(key);
    if (running !== undefined && isSameVersion(running, response)) {
      const kept = await this.#transfers.follow(running, 'JOIN', request);
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

  /** Nothing is served before the upstream has said that it is for these very credentials too. */
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
    // Of an answer to less than the whole nothing could be kept.
    if (request.range !== undefined || isConditional(request)) return this.#pass(request);
    return this.#ask(key, request, await this.#open(request, {}));
  }

  /** What is here, where the upstream confirms it to those who ask. */
  async #confirmed(record: UrlRecord, request: UrlRequest): Promise<KeptUrl | undefined> {
    const validator = strongValidator(record.headers);
    const isConfirmed = await this.#mayHave(request, (head) =>
      validator === undefined ? request.rules.immutable && hasSize(head, record) : isStillSo(head, record),
    );
    return isConfirmed ? this.#stored.serve(record, { outcome: 'REVALIDATED' }, request) : undefined;
  }

  /** Asks for the head alone, with the client's own credentials. */
  async #mayHave({ open, signal }: UrlRequest, isIt: (head: UrlResponse) => boolean): Promise<boolean> {
    const head = await open({ method: 'HEAD', headers: {}, signal });
    head.body.cancel();
    return head.status === 200 && isIt(head);
  }

  /** Asks for the whole; who asks may leave before the answer comes, and what comes then is nobody's alone. */
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

  async #head(key: UrlKey, request: UrlRequest): Promise<UrlAnswer> {
    const running = this.#transfers.get(key);
    if (running !== undefined && !running.ingest.ending) {
      const kept = await this.#transfers.follow(running, 'JOIN', { ...request, range: undefined });
      if (kept !== undefined) return { ...kept, reader: nothingOf(kept.reader) };
    }
    const record = await this.#stored.find(key, request);
    if (record === undefined) return this.#pass(request);
    if (this.#stored.holds(record, request)) return this.#stored.head(record, { outcome: 'HIT' });
    const trouble = this.#backOff.get(idOf(key));
    if ((trouble !== undefined && this.#backOff.isBackingOff(trouble)) || this.#silence.has(key.route)) {
      const reason = trouble?.error.message ?? SILENT;
      const stale = await this.#stale(key, { record, reason }, request);
      if (stale !== undefined) return stale;
    }
    return this.#headAgain(key, record, request);
  }

  /** Asks whether what is here holds, for who wants the head alone. */
  async #headAgain(key: UrlKey, record: UrlRecord, request: UrlRequest): Promise<UrlAnswer> {
    const late = AbortSignal.timeout(this.#staleAfter);
    const signal = mayBeServedStale(record.headers) ? AbortSignal.any([request.signal, late]) : request.signal;
    let response: UrlResponse;
    try {
      response = await request.open({ method: 'HEAD', headers: {}, signal });
    } catch (error) {
      if (request.signal.aborted) throw error;
      if (late.aborted) this.#silence.begun(key.route);
      const reason = late.aborted ? this.#lateReason : (error as Error).message;
      const stale = await this.#stale(key, { record, reason }, request);
      if (stale !== undefined) return stale;
      throw error;
    }
    if (isFailure(response)) {
      const stale = await this.#stale(key, { record, reason: statusReason(response) }, request);
      if (stale !== undefined) response.body.cancel();
      return stale ?? { kind: 'through', response };
    }
    if (response.status === 404 || response.status === 410) await this.#stored.records.delete(key);
    if (response.status !== 200 || !isStillSo(response, record)) return { kind: 'through', response };
    response.body.cancel();
    return this.#stored.head(await this.#stored.renew(key, record, response), { outcome: 'REVALIDATED' });
  }

  /** What is here, as a stale answer; undefined where it must not be served, or is gone. */
  async #stale(
    key: UrlKey,
    { record, reason }: { readonly record: UrlRecord; readonly reason: string },
    request: UrlRequest,
  ): Promise<KeptUrl | undefined> {
    const stale = await this.#stored.stale(record, reason, request);
    if (stale !== undefined) this.#decide(key, 'STALE', reason);
    return stale;
  }

  #whyNotKept({ url }: UrlKey, { status, headers, length }: UrlResponse, request: UrlRequest): string | undefined {
    const { personal, rules } = request;
    return whyNotKept({ url, status, headers, length, personal, immutable: rules.immutable });
  }

  async #pass(request: UrlRequest): Promise<UrlAnswer> {
    const { method, open, signal, range, ifRange } = request;
    const headers = {
      ...conditionsOf(request),
      ...(range === undefined ? {} : { range }),
      ...(ifRange === undefined ? {} : { 'if-range': ifRange }),
    };
    return { kind: 'through', response: await open({ method, headers, signal }) };
  }

  get #lateReason(): string {
    return `the upstream has not answered within ${this.#staleAfter / 1000} s`;
  }

  get #staleAfter(): number {
    return Math.min(this.#options.staleAfter ?? DEFAULT_STALE_AFTER, LONGEST_TIMER);
  }

  #decide({ route, url }: UrlKey, outcome: CacheOutcome, reason: string): void {
    const { telemetry } = this.#options;
    if (!telemetry.hears('cache.decision')) return;
    const repository = url.replace(/[?#].*$/s, '');
    telemetry.publish('cache.decision', { registry: `mirror:${route}`, repository, reference: '', outcome, reason });
  }
}

function idOf({ route, url }: UrlKey): string {
  return keyOf(route, url);
}

/** The headers that ask whether a record still holds. */
function confirmationOf(record: UrlRecord | undefined): Readonly<Record<string, string>> {
  const { etag, 'last-modified': modified } = record?.headers ?? {};
  if (etag !== undefined) return { 'if-none-match': etag };
  return modified === undefined ? {} : { 'if-modified-since': modified };
}

/** Whether a 304 is about this record (RFC 9111, section 4.3.4): with a tag of its own, it has to be the same. */
function confirms({ headers }: UrlResponse, { headers: kept }: UrlRecord): boolean {
  return headers['etag'] === undefined || headers['etag'].replace(/^W\//, '') === kept['etag']?.replace(/^W\//, '');
}

/** Whether the answer to a HEAD has the very bytes of a record (RFC 9111, section 4.3.5). */
function isStillSo({ headers }: UrlResponse, record: UrlRecord): boolean {
  const validator = strongValidator(record.headers);
  return validator !== undefined && hasValidator(headers, validator) && hasSize({ headers }, record);
}

function hasSize({ headers }: Pick<UrlResponse, 'headers'>, { size }: UrlRecord): boolean {
  return headers['content-length'] === undefined || headers['content-length'] === String(size);
}

function isConditional(request: UrlRequest): boolean {
  const { ifNoneMatch, ifModifiedSince } = request;
  return ifNoneMatch !== undefined || ifModifiedSince !== undefined || hasPrecondition(request);
}

/** Whether it asks for one version, and for nothing where there is another. */
function hasPrecondition({ ifMatch, ifUnmodifiedSince }: UrlRequest): boolean {
  return ifMatch !== undefined || ifUnmodifiedSince !== undefined;
}

/**
 * Whether what the upstream said without hearing the client's conditions and range can be the answer: a 200 is none to
 * whom another version would hurt, and who cannot use the whole where it wants a part.
 */
function isForThis({ status }: UrlResponse, request: UrlRequest): boolean {
  return status !== 200 || !(hasPrecondition(request) || request.range !== undefined);
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

/** Whether it asks for a part that a transfer would reach late. */
function isFar({ range }: UrlRequest): boolean {
  const wanted = parseRange(range, undefined);
  return wanted.kind === 'part' && planRange(wanted.start, { written: 0, size: undefined }) === 'pass';
}
