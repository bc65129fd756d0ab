import type { Figure, LastPull, PullRecord, PullStore, PullSummary } from '../store/index.ts';
import type { BodyMeter, PullUnderWay, RequestFinished, Telemetry, UpstreamRequestEnded } from '../telemetry/index.ts';
import { type FigureRow, Figures, type Rates } from './figures.ts';
import { Pull, PullRequest, rankOf } from './pull.ts';
import { MOST } from './text.ts';

/** Milliseconds between two looks at what runs. */
const LOOK_EVERY = 1000;
/** Looks between two writes. */
const WRITE_EVERY = 2;
/** Milliseconds between two times that old rows are deleted. */
const TRIM_EVERY = 3_600_000;

/** Pulls that are open at once. Beyond them the oldest without a running request are closed early. */
const MAX_OPEN = 2000;
/** Pulls that are written one by one at a time; the figures have the others too. */
const MAX_WRITTEN = 1000;
/** Of these, refused ones, which a client without any right can cause. */
const MAX_REFUSED = 100;
/** Tags of which the last pull is noted between two writes. */
const MAX_TAGS = 10_000;
/** Pulls that are reported at one look. */
const MAX_REPORTED = 200;

const NO_NAMES = { registry: '', repository: '' };

export interface LiveListeners {
  /** A pull began, made progress or ended: at most once a second for each, and the 200 newest. */
  readonly pull: (pull: PullSummary) => void;
  /** Every five seconds: what was done in them, a second. */
  readonly rates: (rates: Rates) => void;
}

interface RecorderOptions {
  readonly telemetry: Telemetry;
  /** Milliseconds since the epoch. @default Date.now */
  readonly now?: () => number;
  /** Milliseconds between two looks at what runs. @default 1000 */
  readonly lookEvery?: number;
}

/** A body of an upstream that still comes. */
interface ComingBody {
  readonly meter: BodyMeter;
  readonly names: { readonly registry: string; readonly repository: string };
  readonly isKnown: boolean;
  readonly pull: Pull | undefined;
  counted: number;
}

interface NotedTag {
  at: number;
  readonly pull: LastPull;
  isTaken: boolean;
}

/**
 * Records pulls, from the first request on; its store may come later.
 *
 * A request costs it about a microsecond: everything else is done by a timer, in batches. Never throws: what cannot be written
 * is counted again at the next write, and its pulls are lost.
 */
export class PullRecorder {
  readonly #telemetry: Telemetry;
  readonly #now: () => number;
  readonly #startedAt: number;
  readonly #figures: Figures;
  /** The last request to begin of those that run: a list, as maps are slow where entries come and go. */
  #running: PullRequest | undefined;
  /** The listed requests of open pulls that have ended: upstreams may still be asked because of them. */
  readonly #ended = new Map<string, PullRequest>();
  /** By who pulls what; the longest open first. */
  readonly #open = new Map<string, Pull>();
  #last: Pull | undefined;
  readonly #bodies = new Set<ComingBody>();
  #closed: PullRecord[] = [];
  readonly #tags = new Map<string, NotedTag>();
  #lastTag: { readonly pull: Pull; readonly tag: string; readonly noted: NotedTag } | undefined;
  readonly #listeners: { readonly [K in keyof LiveListeners]: Set<LiveListeners[K]> } = {
    pull: new Set(),
    rates: new Set(),
  };
  #store: PullStore | undefined;
  #work: Promise<unknown> = Promise.resolve();
  #isWriteDue = false;
  #hasWarned = false;
  #looks = 0;
  #trimmedAt = 0;
  #unsubscribe: readonly (() => void)[] = [];
  readonly #timer: NodeJS.Timeout;

  constructor({ telemetry, now = Date.now, lookEvery = LOOK_EVERY }: RecorderOptions) {
    this.#telemetry = telemetry;
    this.#now = now;
    this.#startedAt = now();
    this.#figures = new Figures(this.#startedAt);
    this.#timer = setInterval(() => this.look(), lookEvery).unref();
  }

  /** Records from now on, or no further request. */
  set isOn(isOn: boolean) {
    if (isOn === this.isOn) return;
    for (const stop of this.#unsubscribe) stop();
    this.#unsubscribe = [];
    if (!isOn) this.#closeAll();
    else this.#subscribe();
  }

  #subscribe(): void {
    const telemetry = this.#telemetry;
    this.#unsubscribe = [
      telemetry.on('pull.started', (view) => this.#begin(view, false)),
      telemetry.on('pull.refused', (view) => this.#begin(view, true)),
      telemetry.on('request.finished', (event) => this.#finish(event)),
      telemetry.on('upstream.request', (event) => this.#asked(event)),
    ];
  }

  get isOn(): boolean {
    return this.#unsubscribe.length > 0;
  }

  /** When the record begins. Milliseconds since the epoch. */
  get since(): number {
    return this.#store?.since ?? this.#startedAt;
  }

  /** The store from now on, with what was recorded in it before. It is closed with the recorder. */
  keepIn(store: PullStore): void {
    this.#store = store;
  }

  /** Subscribes until the returned function is called. Listeners must not throw. */
  on<Kind extends keyof LiveListeners>(kind: Kind, listener: LiveListeners[Kind]): () => void {
    const listeners = this.#listeners[kind] as Set<LiveListeners[Kind]>;
    listeners.add(listener);
    return () => listeners.delete(listener);
  }

  /** The last five minutes in steps of five seconds, the oldest first. */
  get rates(): readonly Rates[] {
    return this.#figures.rates;
  }

  /** The pulls that are open: under way, or ended so lately that the next request would belong to them. The newest first. */
  open(): readonly PullSummary[] {
    this.#measure();
    const now = this.#now();
    return [...this.#open.values()].map((pull) => pull.summary(now)).toReversed();
  }

  /** An open pull by the id of one of its listed requests. */
  findOpen(request: string): PullRecord | undefined {
    this.#measure();
    return this.#requestOf(request)?.pull.record(this.#now());
  }

  /**
   * Reads the store, with what it does not have yet. Nothing is written meanwhile.
   *
   * @param work `store`: undefined until it is open
   */
  read<T>(
    work: (parts: {
      readonly store: PullStore | undefined;
      /** Closed pulls, the last to be closed last. */
      readonly pulls: readonly PullRecord[];
      readonly figures: readonly Figure[];
      readonly lastPulls: readonly LastPull[];
    }) => Promise<T> | T,
  ): Promise<T> {
    return this.#inTurn(async () => {
      this.#measure();
      const lastPulls = [...this.#tags].map(lastPullOf);
      return work({ store: this.#store, pulls: this.#closed, figures: this.#figures.unwritten(), lastPulls });
    });
  }

  /** Writes what has ended, and the figures up to now. */
  write(): Promise<void> {
    this.#measure();
    return this.#inTurn(() => this.#write());
  }

  /** What the timer does: it counts what runs, closes what is over, reports, and writes from time to time. */
  look(): void {
    const now = this.#now();
    this.#looks += 1;
    this.#measure();
    if (this.#figures.isStepOver(now)) {
      const rates = this.#figures.step(now);
      for (const listener of this.#listeners.rates) listener(rates);
    }
    if (this.#listeners.pull.size > 0) this.#report(now);
    for (const [key, pull] of this.#open) if (pull.isOver(now)) this.#close(key, pull);
    if (this.#looks % WRITE_EVERY !== 0 || this.#isWriteDue || this.#store === undefined) return;
    this.#isWriteDue = true;
    void this.#inTurn(() => {
      this.#isWriteDue = false;
      return this.#write();
    });
  }

  /** Records nothing more, writes the rest and closes the store. */
  async close(): Promise<void> {
    clearInterval(this.#timer);
    this.isOn = false;
    await this.#inTurn(() => this.#write());
    await this.#store?.close();
    this.#store = undefined;
  }

  #begin(view: PullUnderWay, isRefused: boolean): void {
    const now = this.#now();
    const last = this.#last;
    const pull = last?.takes(view, now) === true ? last : this.#pullOf(view, now);
    this.#last = pull;
    const request = pull.begin(view, now, isRefused);
    view.recorded = request;
    request.before = this.#running;
    if (this.#running !== undefined) this.#running.after = request;
    this.#running = request;
  }

  #pullOf(view: PullUnderWay, now: number): Pull {
    const { client, user = '', userAgent = '', registry = '', repository = '' } = view;
    // No part has a line break but the user agent, of which few characters count.
    const key = `${client}\n${user}\n${registry}\n${repository}\n${userAgent.slice(0, MOST.userAgent)}`;
    const found = this.#open.get(key);
    if (found?.isOpen(now) === true) return found;
    if (found !== undefined) this.#close(key, found);
    if (this.#open.size >= MAX_OPEN) this.#closeIdle();
    const pull = new Pull(view, now);
    this.#open.set(key, pull);
    return pull;
  }

  #finish(event: RequestFinished): void {
    const request = event.pull?.recorded;
    if (!(request instanceof PullRequest) || request.view === undefined) return;
    this.#unlink(request);
    const { pull, view, isRefused } = request;
    const now = this.#now();
    const { status, hasLeft = false, error, cache } = event;
    const isAnswered = status >= 200 && status < 400;
    const isFailed = status >= 500 || (isAnswered && error !== undefined && !hasLeft);
    const isHit = isAnswered && cache === 'HIT';
    if (!isRefused) {
      const row = this.#rowOf(pull, now, isAnswered);
      this.#figures.countBytes(row, 'bytes', event.bytes - request.counted);
      if (status !== 0) this.#figures.countRequest(row, { isHit, isFailed });
      if (isAnswered && !pull.isAnswered) {
        pull.isAnswered = true;
        row.pulls += 1;
        this.#figures.countBytes(row, 'fetched', pull.heldBack);
      }
      if (isAnswered && view.target?.kind === 'manifest') this.#noteTag(pull, view, now);
    }
    pull.end(request, event, { now, rank: rankOf(event, { isFailed, isRefused }), isHit });
    if (request.isListed) this.#ended.set(event.id, request);
  }

  /** The figures of a pull's repository, in the running hour. */
  #rowOf(pull: Pull, now: number, isKnown: boolean): FigureRow {
    if (pull.row !== undefined && now - pull.rowHour < 3_600_000 && now >= pull.rowHour) return pull.row;
    const row = this.#figures.rowOf(pull, now, isKnown || pull.isAnswered);
    // What counts for no repository yet may do so after the next answer.
    if (isKnown || pull.isAnswered) {
      pull.row = row;
      pull.rowHour = Figures.hourOf(now);
    }
    return row;
  }

  #noteTag(pull: Pull, { target, user, client }: PullUnderWay, now: number): void {
    if (target?.kind !== 'manifest') return;
    const tag = target.reference.kind === 'tag' ? target.reference.tag : '';
    const last = this.#lastTag;
    if (last !== undefined && last.pull === pull && last.tag === tag && !last.noted.isTaken) {
      last.noted.at = now;
      return;
    }
    const { registry, repository } = pull;
    const key = `${registry}/${repository}:${tag}`;
    if (this.#tags.size >= MAX_TAGS && !this.#tags.has(key)) return;
    const by = pull.user ?? user ?? client;
    const noted = { at: now, pull: { registry, repository, tag, at: now, by }, isTaken: false };
    this.#tags.set(key, noted);
    this.#lastTag = { pull, tag, noted };
  }

  #unlink(request: PullRequest): void {
    const { before, after } = request;
    if (before !== undefined) before.after = after;
    if (after !== undefined) after.before = before;
    else if (this.#running === request) this.#running = before;
    request.before = undefined;
    request.after = undefined;
  }

  #requestOf(id: string): PullRequest | undefined {
    const ended = this.#ended.get(id);
    if (ended !== undefined) return ended;
    // Only what asks an upstream is looked for, and there are few: the slots of the server bound them.
    for (let request = this.#running; request !== undefined; request = request.before) {
      if (request.id === id) return request;
    }
    return undefined;
  }

  #asked(event: UpstreamRequestEnded): void {
    const request = event.request === undefined ? undefined : this.#requestOf(event.request);
    request?.ask(event, this.#now());
    const { body, registry, repository, status } = event;
    if (body === undefined || repository === undefined) return;
    const pull = request?.pull;
    const names = { registry, repository };
    // The answer to a name that does not exist is counted without it.
    const coming = { meter: body, names, isKnown: status >= 200 && status < 400, pull, counted: 0 };
    if (!body.isOver) {
      this.#bodies.add(coming);
      if (pull !== undefined) pull.bodies += 1;
    }
    this.#countBody(coming);
  }

  #countBody(coming: ComingBody): void {
    const { meter, names, isKnown, pull } = coming;
    const count = meter.bytes - coming.counted;
    if (count === 0) return;
    coming.counted = meter.bytes;
    // A challenge comes before the answer that says whether the repository exists.
    if (pull?.isAnswered === false && !isKnown) pull.heldBack += count;
    else this.#figures.countBytes(this.#figures.rowOf(names, this.#now(), isKnown), 'fetched', count);
    if (pull === undefined) return;
    pull.fetched += count;
    pull.isChanged = true;
  }

  /** Counts what has come since the last look. */
  #measure(): void {
    const now = this.#now();
    for (const coming of this.#bodies) {
      this.#countBody(coming);
      if (!coming.meter.isOver) continue;
      this.#bodies.delete(coming);
      const { pull } = coming;
      if (pull === undefined) continue;
      pull.bodies -= 1;
      pull.lastAt = now;
      pull.isChanged = true;
    }
    for (let request = this.#running; request !== undefined; request = request.before) {
      const { view, pull } = request;
      if (view === undefined || view.bytes === request.counted) continue;
      const count = view.bytes - request.counted;
      request.counted = view.bytes;
      // Whatever is not an error has an outcome of the cache.
      this.#figures.countBytes(this.#rowOf(pull, now, view.cache !== undefined), 'bytes', count);
      pull.progressed(count);
    }
  }

  #report(now: number): void {
    const changed = [...this.#open.values()].filter((pull) => pull.isChanged).slice(-MAX_REPORTED);
    for (const pull of changed) {
      pull.isChanged = false;
      const summary = pull.summary(now);
      for (const listener of this.#listeners.pull) listener(summary);
    }
  }

  #closeIdle(): void {
    let toClose = MAX_OPEN / 20;
    for (const [key, pull] of this.#open) {
      if (pull.isBusy) continue;
      this.#close(key, pull);
      toClose -= 1;
      if (toClose === 0) return;
    }
  }

  /** Nothing is heard of what runs any more. */
  #closeAll(): void {
    this.#measure();
    for (const [key, pull] of this.#open) this.#close(key, pull);
    this.#running = undefined;
    this.#ended.clear();
    this.#bodies.clear();
  }

  #close(key: string, pull: Pull): void {
    const now = this.#now();
    this.#open.delete(key);
    if (this.#last === pull) this.#last = undefined;
    for (const { id } of pull.listed) this.#ended.delete(id);
    if (pull.isBusy) pull.abandon();
    const record = pull.record(now);
    if (!pull.isAnswered) {
      const row = this.#figures.rowOf(NO_NAMES, now, false);
      if (record.outcome !== 'refused') row.pulls += 1;
      this.#figures.countBytes(row, 'fetched', pull.heldBack);
    }
    this.#closed.push(record);
    if (this.#closed.length >= 2 * MAX_WRITTEN) this.#closed = mostImportant(this.#closed);
  }

  async #write(): Promise<void> {
    const store = this.#store;
    if (store === undefined) return;
    const now = this.#now();
    const figures = this.#figures.take(now);
    const tags = [...this.#tags];
    const closed = this.#closed;
    for (const [, noted] of tags) noted.isTaken = true;
    this.#tags.clear();
    this.#closed = [];
    try {
      if (figures.length > 0 || tags.length > 0) await store.count(figures, tags.map(lastPullOf));
    } catch (error) {
      this.#figures.putBack(figures);
      for (const [key, noted] of tags) if (!this.#tags.has(key)) this.#tags.set(key, noted);
      this.#closed = mostImportant([...closed, ...this.#closed]);
      return this.#warn(error);
    }
    try {
      if (closed.length > 0) await store.add(mostImportant(closed));
      if (now - this.#trimmedAt >= TRIM_EVERY) {
        this.#trimmedAt = now;
        await store.trim(now);
      }
      this.#hasWarned = false;
    } catch (error) {
      this.#warn(error);
    }
  }

  /** Once, until a write succeeds. */
  #warn(error: unknown): void {
    if (this.#hasWarned) return;
    this.#hasWarned = true;
    this.#telemetry.publish('warning', { message: 'Cannot write the record of pulls: it has gaps', error });
  }

  /** One write or read after another. */
  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#work.then(work);
    this.#work = done.catch(() => undefined);
    return done;
  }
}

function lastPullOf([, { at, pull }]: readonly [string, NotedTag]): LastPull {
  return { ...pull, at };
}

/** At most {@link MAX_WRITTEN} pulls in their order: the failed ones, some refused ones, then the newest. */
function mostImportant(pulls: readonly PullRecord[]): PullRecord[] {
  const refused = pulls.filter(({ outcome }) => outcome === 'refused');
  const tooMany = new Set(refused.slice(0, Math.max(0, refused.length - MAX_REFUSED)));
  const left = pulls.filter((pull) => !tooMany.has(pull));
  if (left.length <= MAX_WRITTEN) return left;
  const first = left.filter(({ outcome }) => outcome === 'failed' || outcome === 'refused').slice(-MAX_WRITTEN);
  const others = left.filter(({ outcome }) => outcome !== 'failed' && outcome !== 'refused');
  const chosen = new Set([...first, ...others.slice(others.length - (MAX_WRITTEN - first.length))]);
  return left.filter((pull) => chosen.has(pull));
}
