import type { AskedUpstream, PullOutcome, PullRecord, PullSummary, RecordedRequest } from '../store/index.ts';
import {
  type CacheOutcome,
  type PullTarget,
  type PullUnderWay,
  type RequestFinished,
  redactText,
  redactUrl,
  type UpstreamRequestEnded,
} from '../telemetry/index.ts';
import type { FigureRow } from './figures.ts';
import type { NotedTag } from './noted-tags.ts';
import { kept, keptOf, MOST } from './text.ts';

/** Requests of a pull that are listed; further ones are counted. */
const MAX_LISTED = 64;
/** Of these, places for requests that fail. */
const FOR_FAILED = 8;
/** Requests to upstreams that are listed of one request. */
const MAX_ASKED = 8;

/** Milliseconds without a request after which a pull is over. */
const PAUSE = 10_000;
/** Milliseconds without a byte after which a body of an upstream keeps no pull open. */
const BODY_PAUSE = 60_000;
/** Milliseconds after which a pull that never pauses takes no further request. */
const LONGEST = 600_000;

/** The worst last. */
const RANKS: readonly PullOutcome[] = ['hit', 'miss', 'stale', 'refused', 'failed'];

/** One request of a pull. Once it has ended, its view is let go. */
export class PullRequest {
  readonly id: string;
  readonly pull: Pull;
  readonly at: number;
  view: PullUnderWay | undefined;
  /** Bytes of it that the figures have. */
  counted = 0;
  isListed = false;
  /** The gate refused it. */
  readonly isRefused: boolean;
  /** Its neighbours among the requests that run. */
  before: PullRequest | undefined;
  after: PullRequest | undefined;
  /** What is kept of it when it has ended. */
  ended: Omit<RecordedRequest, 'asked'> | undefined;
  asked: AskedUpstream[] | undefined;

  constructor(view: PullUnderWay, how: { readonly pull: Pull; readonly at: number; readonly isRefused: boolean }) {
    this.id = view.id;
    this.view = view;
    this.pull = how.pull;
    this.at = how.at;
    this.isRefused = how.isRefused;
  }

  /** Notes a request to an upstream that it caused. */
  ask(event: UpstreamRequestEnded, now: number): void {
    this.asked ??= [];
    if (this.asked.length >= MAX_ASKED) return;
    const { upstream, purpose, method, url, status, durationMs, error } = event;
    this.asked.push({
      upstream: kept(upstream, MOST.name),
      purpose,
      method,
      url: kept(redactUrl(url), MOST.url),
      status,
      afterMs: Math.max(0, now - this.at),
      durationMs: rounded(durationMs),
      ...(error === undefined ? {} : { error: kept(redactText(error), MOST.error) }),
    });
  }

  snapshot(): RecordedRequest {
    const { view, ended, asked = [] } = this;
    if (view === undefined || ended !== undefined) return { ...(ended as NonNullable<typeof ended>), asked };
    const totalMs = rounded(performance.now() - view.startedAt);
    return { ...describe(this, view, { status: 0, bytes: view.bytes, totalMs }), running: true, asked };
  }
}

/** One pull while it is open: the requests of one client for one image, with no pause of more than ten seconds. */
export class Pull {
  /** Who pulls from where, as a key. */
  readonly place: string;
  /** Empty where it began with a digest. */
  readonly tag: string;
  readonly id: string;
  readonly at: number;
  readonly registry: string;
  readonly repository: string;
  readonly client: string;
  readonly user: string | undefined;
  readonly userAgent: string | undefined;
  /** Requests that run. */
  running = 0;
  /** Bodies of upstreams that it caused, and that still come. */
  bodies = 0;
  /** When a request of it began or ended, or a byte came from an upstream. */
  lastAt: number;
  /** When the last of its requests ended that has. */
  #endedAt: number;
  /** A GET of it was answered, so that its tag asked for once more is another pull. */
  #hasGot = false;
  requests = 0;
  fetched = 0;
  /** Of these bytes, those that the figures do not have yet: it is not known whether the repository exists. */
  heldBack = 0;
  /** True once a request for it was answered with success: then it is counted for its repository. */
  isAnswered = false;
  /** The figures of its repository, in the hour of `rowHour`. */
  row: FigureRow | undefined;
  rowHour = 0;
  /** What is noted of it as the last pull of its tag, and of what it asked for by digest. */
  notedTag: NotedTag | undefined;
  notedDigest: NotedTag | undefined;
  /** Something has changed since it was last reported. */
  isChanged = true;
  /** True: it is recorded. What of it still runs counts in the figures alone. */
  isClosed = false;
  readonly #reference: string;
  readonly #namedBy: string | undefined;
  readonly #list: PullRequest[] = [];
  #rule: number | undefined;
  #verdict: string | undefined;
  #hits = 0;
  #bytes = 0;
  #size = 0;
  #omitted = 0;
  #failedListed = 0;
  #rank = -1;
  #runningBytes = 0;

  constructor(view: PullUnderWay, how: { readonly at: number; readonly place: string; readonly tag: string }) {
    const { at, place, tag } = how;
    const { id, registry = '', repository = '', client, user, userAgent, target, namedBy, rule } = view;
    this.id = id;
    this.at = at;
    this.lastAt = at;
    this.#endedAt = at;
    this.place = place;
    this.tag = kept(tag, MOST.reference);
    this.registry = kept(registry, MOST.name);
    this.repository = kept(repository, MOST.name);
    this.client = kept(client, MOST.client);
    this.user = keptOf(user, MOST.user);
    this.userAgent = keptOf(userAgent && redactText(userAgent.slice(0, 2 * MOST.userAgent)), MOST.userAgent);
    this.#reference = kept(referenceOf(target), MOST.reference);
    this.#namedBy = namedBy;
    this.#rule = rule;
    this.#verdict = view.access?.verdict;
  }

  /** Whether a request is of the same client, for the same repository. */
  isOf({ client, repository, registry, user, userAgent }: PullUnderWay): boolean {
    return (
      this.repository === repository &&
      this.client === client &&
      this.registry === registry &&
      this.user === user &&
      isSame(this.userAgent, userAgent)
    );
  }

  /**
   * Whether its tag, asked for now, is another pull: what the tag led to has been got, and nothing runs. A HEAD and the GET behind it are
   * one, and so is a client that asks for a tag alone again and again: a record for each would cost more than the answer.
   */
  get isPulledAgain(): boolean {
    return this.#hasGot && this.running === 0;
  }

  /** Whether it may take another request. */
  isOpen(now: number): boolean {
    const isActive = this.running > 0 || now - this.lastAt <= (this.bodies > 0 ? BODY_PAUSE : PAUSE);
    return isActive && now - this.at <= LONGEST;
  }

  /** Whether it can be closed: no request of it runs, and it takes no further one. A body that never ends does not keep it. */
  isOver(now: number): boolean {
    return this.running === 0 && !this.isOpen(now);
  }

  get isBusy(): boolean {
    return this.running > 0 || this.bodies > 0;
  }

  /** Requests that are listed. */
  get listed(): readonly PullRequest[] {
    return this.#list;
  }

  begin(view: PullUnderWay, now: number, isRefused: boolean): PullRequest {
    const request = new PullRequest(view, { pull: this, at: now, isRefused });
    this.running += 1;
    this.requests += 1;
    this.lastAt = now;
    this.isChanged = true;
    this.#rule ??= view.rule;
    this.#verdict ??= view.access?.verdict;
    if (this.#list.length < MAX_LISTED - FOR_FAILED) this.#listIt(request);
    else this.#omitted += 1;
    return request;
  }

  /** Bytes of running requests that have come since the last call are counted by the caller, request by request. */
  progressed(bytes: number): void {
    this.#runningBytes += bytes;
    this.isChanged = true;
  }

  end(
    request: PullRequest,
    event: RequestFinished,
    how: { readonly now: number; readonly rank: number; readonly isHit: boolean },
  ): void {
    const view = request.view as PullUnderWay;
    const { now, rank, isHit } = how;
    const { status, bytes } = event;
    this.running -= 1;
    this.lastAt = now;
    this.#endedAt = now;
    if (view.method === 'GET' && status >= 200 && status < 400 && isByDigest(view)) this.#hasGot = true;
    this.isChanged = true;
    this.#runningBytes -= request.counted;
    if (isContent(status)) {
      this.#bytes += bytes;
      this.#size += view.size ?? bytes;
    }
    if (isHit) this.#hits += 1;
    if (rank > this.#rank) this.#rank = rank;
    if (!request.isListed && rank === FAILED && this.#failedListed < FOR_FAILED) {
      this.#failedListed += 1;
      this.#omitted -= 1;
      this.#listIt(request);
    }
    if (request.isListed) {
      const totalMs = rounded(event.durationMs);
      const { error } = event;
      const ended = describe(request, view, { status, bytes, totalMs });
      request.ended = error === undefined ? ended : { ...ended, error: kept(redactText(error), MOST.error) };
    }
    request.view = undefined;
  }

  /** Its record, for good; also where requests of it run, whose ends it does not have. */
  close(now: number): PullRecord {
    this.isClosed = true;
    if (this.running > 0) this.#endedAt = now;
    for (const request of this.#list) {
      const { view } = request;
      if (view === undefined) continue;
      this.#rank = Math.max(this.#rank, rankOfCache(view.cache));
      const totalMs = rounded(performance.now() - view.startedAt);
      request.ended = describe(request, view, { status: 0, bytes: view.bytes, totalMs });
    }
    this.running = 0;
    this.bodies = 0;
    return this.record(now);
  }

  summary(now: number): PullSummary {
    const { id, at, registry, repository, client, user, userAgent, requests, fetched } = this;
    const size = this.#knownSize();
    return {
      id,
      at,
      ...(this.running > 0 ? { running: true as const } : {}),
      registry,
      repository,
      reference: this.#reference,
      client,
      ...(user === undefined ? {} : { user }),
      ...(userAgent === undefined ? {} : { userAgent }),
      ...(this.#namedBy === undefined ? {} : { namedBy: this.#namedBy }),
      outcome: this.#outcome(),
      requests,
      hits: this.#hits,
      bytes: this.#bytes + this.#runningBytes,
      ...(size === 0 ? {} : { size }),
      fetched,
      durationMs: Math.max(0, (this.running > 0 ? now : this.#endedAt) - at),
    };
  }

  record(now: number): PullRecord {
    return {
      ...this.summary(now),
      ...(this.#rule === undefined ? {} : { rule: `access.rules[${this.#rule}]` }),
      ...(this.#verdict === undefined ? {} : { verdict: this.#verdict }),
      requestList: this.#list.map((each) => each.snapshot()),
      omitted: this.#omitted,
    };
  }

  #listIt(request: PullRequest): void {
    request.isListed = true;
    this.#list.push(request);
  }

  #outcome(): PullOutcome {
    let rank = this.#rank;
    for (const { view } of this.#list) {
      if (view !== undefined) rank = Math.max(rank, rankOfCache(view.cache));
    }
    // Every request so far was answered 4xx.
    if (rank === -1 && this.running === 0) return 'failed';
    return RANKS[Math.max(rank, 0)] as PullOutcome;
  }

  #knownSize(): number {
    return this.#list.reduce((sum, { view }) => sum + (view?.size ?? view?.bytes ?? 0), this.#size);
  }
}

const [HIT, MISS, STALE, REFUSED, FAILED] = [0, 1, 2, 3, 4] as const;

/** Whether a response carries what was asked for. What a client got before it was cut has no other status. */
export function isContent(status: number): boolean {
  return status < 400;
}

/** What the end of a request makes of its pull, as its rank in {@link RANKS}; -1: nothing, as something does not exist. */
export function rankOf(
  { status, cache }: RequestFinished,
  how: { readonly isFailed: boolean; readonly isRefused: boolean },
): number {
  if (how.isFailed) return FAILED;
  if (how.isRefused) return REFUSED;
  return status >= 400 ? -1 : rankOfCache(cache);
}

/** A tag that was revalidated is served from here: its upstream sent no content. */
function rankOfCache(cache: CacheOutcome | undefined): number {
  if (cache === 'STALE') return STALE;
  return cache === undefined || cache === 'HIT' || cache === 'REVALIDATED' ? HIT : MISS;
}

function describe(
  { id, at }: PullRequest,
  view: PullUnderWay,
  end: Pick<RecordedRequest, 'status' | 'bytes' | 'totalMs'>,
): Omit<RecordedRequest, 'asked'> {
  const { method, target, cache, reason, upstream, size, startedAt, slotAt, passedAt, answeredAt } = view;
  return {
    id,
    at,
    method,
    kind: target?.kind ?? 'blob',
    reference: kept(referenceOf(target), MOST.reference),
    ...end,
    ...(cache === undefined ? {} : { cache }),
    ...(reason === undefined ? {} : { reason: kept(redactText(reason), MOST.error) }),
    ...(upstream === undefined ? {} : { upstream: kept(upstream, MOST.name) }),
    ...(size === undefined ? {} : { size }),
    ...(slotAt === undefined ? {} : { slotMs: rounded(slotAt - startedAt) }),
    ...(slotAt === undefined || passedAt === undefined ? {} : { gateMs: rounded(passedAt - slotAt) }),
    ...(passedAt === undefined || answeredAt === undefined ? {} : { firstByteMs: rounded(answeredAt - passedAt) }),
  };
}

/** A tag or digest; empty where there is none. */
function referenceOf(target: PullTarget | undefined): string {
  if (target === undefined) return '';
  if (target.kind === 'blob') return target.digest;
  return target.reference.kind === 'tag' ? target.reference.tag : target.reference.digest;
}

function isSame(known: string | undefined, text: string | undefined): boolean {
  if (known === text) return true;
  return text !== undefined && (text === '' || text.length > MOST.userAgent) && known === keptOf(text, MOST.userAgent);
}

/** To hundredths. */
function rounded(milliseconds: number): number {
  return Math.round(milliseconds * 100) / 100;
}

function isByDigest({ target }: PullUnderWay): boolean {
  return target !== undefined && (target.kind === 'blob' || target.reference.kind === 'digest');
}
