import type { Figure, LastPull, PullRecord, PullStore, PullSummary } from '../store/index.ts';
import type { Events, PullUnderWay, RequestFinished, Telemetry, UpstreamRequestEnded } from '../telemetry/index.ts';
import { MAX_WRITTEN, mostImportant } from './batch.ts';
import { ComingBodies, type ComingBody } from './coming-bodies.ts';
import { type FigureRow, Figures, type Rates } from './figures.ts';
import { NotedTags } from './noted-tags.ts';
import { OpenPulls } from './open-pulls.ts';
import { isContent, type Pull, PullRequest, rankOf } from './pull.ts';

/** Milliseconds between two looks at what runs. */
const LOOK_EVERY = 1000;
/** Looks between two writes. */
const WRITE_EVERY = 2;
/** Milliseconds between two times that old rows are deleted. */
const TRIM_EVERY = 3_600_000;

/** Pulls that are reported at one look. */
const MAX_REPORTED = 200;

const NO_NAMES = { registry: '', repository: '' };

export interface LiveListeners {
  /** A pull began, made progress or ended: at most once a second for each, and the 200 newest. */
  readonly pull: (pull: PullSummary) => void;
  /** Every five seconds: what was done in them, a second. */
  readonly rates: (rates: Rates) => void;
}

/** Pulls that the record lacks, as too many ended at once or the disk refused them. */
export interface OmittedPulls {
  readonly pulls: number;
  /** When the first and the last of them were left out. Milliseconds since the epoch. */
  readonly from: number;
  readonly to: number;
}

interface RecorderOptions {
  readonly telemetry: Telemetry;
  /** Milliseconds since the epoch. @default Date.now */
  readonly now?: () => number;
  /** Milliseconds between two looks at what runs. @default 1000 */
  readonly lookEvery?: number;
  /** Whatever is read waits for it: the store may be about to come. It never rejects. @default resolved */
  readonly storeSettled?: () => Promise<void>;
}

/**
 * Records pulls, from the first request on; its store may come later.
 *
 * A request costs it about a microsecond: everything else is done by a timer, in batches. A fault of it, of its store or of a
 * listener fails no request and ends no process: what cannot be written is kept for the next write, as far as there is room.
 */
export class PullRecorder {
  readonly #telemetry: Telemetry;
  readonly #now: () => number;
  readonly #storeSettled: () => Promise<void>;
  #startedAt: number;
  #figures: Figures;
  /** The last request to begin of those that run: a list, as maps are slow where entries come and go. */
  #running: PullRequest | undefined;
  /** The listed requests of open pulls that have ended: upstreams may still be asked because of them. */
  readonly #ended = new Map<string, PullRequest>();
  readonly #open = new OpenPulls((pull) => this.#record(pull));
  readonly #bodies = new ComingBodies();
  #closed: PullRecord[] = [];
  #omitted: OmittedPulls | undefined;
  #tags = new NotedTags();
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

  constructor({
    telemetry,
    now = Date.now,
    lookEvery = LOOK_EVERY,
    storeSettled = () => Promise.resolve(),
  }: RecorderOptions) {
    this.#telemetry = telemetry;
    this.#storeSettled = storeSettled;
    this.#now = now;
    this.#startedAt = now();
    this.#figures = new Figures(this.#startedAt);
    this.#timer = setInterval(() => this.look(), lookEvery).unref();
  }

  /**
   * Records from now on; or records nothing and forgets all of its record at once, as of what clients did. The store is let go
   * and closed then: what is in it is for the caller to delete, once {@link idle} resolves.
   */
  set isOn(isOn: boolean) {
    if (isOn === this.isOn) return;
    if (isOn) this.#subscribe();
    else this.#forget();
  }

  #forget(): void {
    this.#stop();
    this.#closed = [];
    this.#omitted = undefined;
    this.#tags = new NotedTags();
    this.#startedAt = this.#now();
    this.#figures = new Figures(this.#startedAt);
    const store = this.#store;
    this.#store = undefined;
    this.#inTurn(async () => store?.close()).catch((error: unknown) => this.#warn(error));
  }

  /** Resolves when what was begun before, such as a write, has ended. */
  idle(): Promise<void> {
    return this.#inTurn(async () => {});
  }

  #subscribe(): void {
    const telemetry = this.#telemetry;
    const hear = <Kind extends keyof Events>(kind: Kind, listener: (event: Events[Kind]) => void): (() => void) =>
      telemetry.on(kind, (event) => {
        try {
          listener(event);
        } catch (error) {
          this.#warn(error);
        }
      });
    this.#unsubscribe = [
      hear('pull.started', (view) => this.#begin(view, false)),
      hear('pull.refused', (view) => this.#begin(view, true)),
      hear('request.finished', (event) => this.#finish(event)),
      hear('upstream.request', (event) => this.#asked(event)),
    ];
  }

  #stop(): void {
    for (const stop of this.#unsubscribe) stop();
    this.#unsubscribe = [];
    this.#closeAll();
  }

  get isOn(): boolean {
    return this.#unsubscribe.length > 0;
  }

  /** When the record begins. Milliseconds since the epoch. */
  get since(): number {
    return this.#store?.since ?? this.#startedAt;
  }

  /** Pulls of this process that the figures count and no list has; undefined where there are none. */
  get omitted(): OmittedPulls | undefined {
    return this.#omitted;
  }

  /** The store from now on, with what was recorded in it before. It is closed with the recorder. */
  keepIn(store: PullStore): void {
    this.#store = store;
  }

  /** Subscribes until the returned function is called. */
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
    return [...this.#open].map((pull) => pull.summary(now)).toReversed();
  }

  /** An open pull by the id of one of its listed requests. */
  findOpen(request: string): PullRecord | undefined {
    this.#measure();
    return this.#requestOf(request)?.pull.record(this.#now());
  }

  /**
   * Reads the store, with what it does not have yet. Nothing is written meanwhile. While the store is being opened, it waits: what
   * earlier processes recorded is not to look lost.
   *
   * @param work `store`: undefined where there is none
   */
  async read<T>(
    work: (parts: {
      readonly store: PullStore | undefined;
      /** Closed pulls, the last to be closed last. */
      readonly pulls: readonly PullRecord[];
      readonly figures: readonly Figure[];
      readonly lastPulls: readonly LastPull[];
    }) => Promise<T> | T,
  ): Promise<T> {
    // Not in its turn: the store may come only after what was begun before.
    await this.#storeSettled();
    return this.#inTurn(async () => {
      this.#measure();
      const lastPulls = this.#tags.unwritten();
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
    try {
      this.#look();
    } catch (error) {
      this.#warn(error);
    }
  }

  #look(): void {
    const now = this.#now();
    this.#looks += 1;
    this.#measure();
    if (this.#figures.isStepOver(now)) {
      const rates = this.#figures.step(now);
      this.#tell(this.#listeners.rates, rates);
    }
    if (this.#listeners.pull.size > 0) this.#report(now);
    for (const pull of this.#open) if (pull.isOver(now)) this.#open.close(pull);
    if (this.#looks % WRITE_EVERY !== 0 || this.#isWriteDue || this.#store === undefined) return;
    this.#isWriteDue = true;
    this.#inTurn(() => {
      this.#isWriteDue = false;
      return this.#write();
    }).catch((error: unknown) => this.#warn(error));
  }

  /** Records nothing more, writes the rest and closes the store. */
  async close(): Promise<void> {
    clearInterval(this.#timer);
    if (this.isOn) this.#stop();
    await this.#inTurn(() => this.#write());
    await this.#store?.close();
    this.#store = undefined;
  }

  #begin(view: PullUnderWay, isRefused: boolean): void {
    const now = this.#now();
    const pull = this.#open.of(view, now);
    const request = pull.begin(view, now, isRefused);
    view.recorded = request;
    request.before = this.#running;
    if (this.#running !== undefined) this.#running.after = request;
    this.#running = request;
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
      // The body of an error is no content, and saves nothing.
      if (isContent(status)) this.#figures.countBytes(row, 'bytes', event.bytes - request.counted);
      if (status !== 0) this.#figures.countRequest(row, { isHit, isFailed });
      if (isAnswered && !pull.isAnswered && !pull.isClosed) {
        pull.isAnswered = true;
        row.pulls += 1;
        this.#figures.countBytes(row, 'fetched', pull.heldBack);
      }
      if (isAnswered && view.target?.kind === 'manifest') this.#tags.note(pull, view, now);
    }
    if (pull.isClosed) {
      request.view = undefined;
      return;
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
    const coming = {
      meter: body,
      names,
      isKnown: status >= 200 && status < 400,
      pull,
      counted: 0,
      lastAt: this.#now(),
    };
    if (!body.isOver) this.#bodies.add(coming);
    this.#countBody(coming);
  }

  #countBody(coming: ComingBody): void {
    const { meter, names, isKnown, pull } = coming;
    const count = meter.bytes - coming.counted;
    if (count === 0) return;
    coming.counted = meter.bytes;
    coming.lastAt = this.#now();
    // A challenge comes before the answer that says whether the repository exists.
    if (pull?.isAnswered === false && !pull.isClosed && !isKnown) pull.heldBack += count;
    else this.#figures.countBytes(this.#figures.rowOf(names, this.#now(), isKnown), 'fetched', count);
    if (pull === undefined) return;
    pull.fetched += count;
    pull.lastAt = coming.lastAt;
    pull.isChanged = true;
  }

  /** Counts what has come since the last look. */
  #measure(): void {
    const now = this.#now();
    this.#bodies.look(now, (body) => this.#countBody(body));
    for (let request = this.#running; request !== undefined; request = request.before) {
      const { view, pull } = request;
      // Whatever is not an error has an outcome of the cache.
      if (view?.cache === undefined || view.bytes === request.counted) continue;
      const count = view.bytes - request.counted;
      request.counted = view.bytes;
      this.#figures.countBytes(this.#rowOf(pull, now, true), 'bytes', count);
      pull.progressed(count);
    }
  }

  #report(now: number): void {
    const changed = [...this.#open].filter((pull) => pull.isChanged).slice(-MAX_REPORTED);
    for (const pull of changed) {
      pull.isChanged = false;
      this.#tell(this.#listeners.pull, pull.summary(now));
    }
  }

  #tell<T>(listeners: ReadonlySet<(event: T) => void>, event: T): void {
    for (const listener of listeners) {
      try {
        listener(event);
      } catch (error) {
        this.#telemetry.publish('warning', { message: 'Cannot tell of pulls to one who follows them', error });
      }
    }
  }

  /** Nothing is heard of what runs any more. */
  #closeAll(): void {
    this.#measure();
    for (const pull of this.#open) this.#open.close(pull);
    for (let request = this.#running; request !== undefined; ) {
      const { before } = request;
      this.#unlink(request);
      request.view = undefined;
      request = before;
    }
    this.#ended.clear();
    this.#bodies.clear();
  }

  /** Keeps a pull that was closed for the next write. */
  #record(pull: Pull): void {
    const now = this.#now();
    for (const { id } of pull.listed) this.#ended.delete(id);
    const record = pull.close(now);
    if (!pull.isAnswered) {
      const row = this.#figures.rowOf(NO_NAMES, now, false);
      if (record.outcome !== 'refused') row.pulls += 1;
      this.#figures.countBytes(row, 'fetched', pull.heldBack);
    }
    this.#closed.push(record);
    if (this.#closed.length >= 2 * MAX_WRITTEN) this.#closed = this.#chosen(this.#closed);
  }

  /** Those that are kept. The others are counted as left out. */
  #chosen(pulls: readonly PullRecord[]): PullRecord[] {
    const chosen = mostImportant(pulls);
    this.#omit(pulls.length - chosen.length);
    return chosen;
  }

  #omit(pulls: number): void {
    if (pulls === 0) return;
    const now = this.#now();
    const { pulls: before, from } = this.#omitted ?? { pulls: 0, from: now };
    this.#omitted = { pulls: before + pulls, from, to: now };
  }

  async #write(): Promise<void> {
    const store = this.#store;
    if (store === undefined) return;
    const now = this.#now();
    const counted = this.#figures;
    const figures = counted.take(now);
    const tags = this.#tags.take();
    const closed = this.#closed;
    this.#closed = [];
    try {
      if (figures.length > 0 || tags.length > 0) await store.count(figures, tags);
    } catch (error) {
      // What was turned off meanwhile has forgotten it.
      if (counted !== this.#figures) return;
      counted.putBack(figures);
      this.#tags.putBack(tags);
      this.#closed = this.#chosen([...closed, ...this.#closed]);
      return this.#warn(error);
    }
    const chosen = this.#chosen(closed);
    try {
      if (chosen.length > 0) {
        await store.add(chosen).catch((error: unknown) => {
          // Some of them may be in it.
          if (counted === this.#figures) this.#omit(chosen.length);
          throw error;
        });
      }
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
    this.#telemetry.publish('warning', { message: 'Cannot record pulls: their record has gaps', error });
  }

  /** One write or read after another. */
  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#work.then(work);
    this.#work = done.catch(() => undefined);
    return done;
  }
}
