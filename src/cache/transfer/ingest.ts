import { randomUUID } from 'node:crypto';
import type { BlobReader, ByteSpan } from '../../lib/index.ts';
import type { Digest, Repository, Visibility } from '../../oci/index.ts';
import { Download } from './download.ts';
import { Follower } from './follower.ts';
import type { Audience, IngestEnvironment, IngestOptions, IngestOutcome, SplitFigures } from './ingest-types.ts';
import { CRAWL_SPAN_MS, isCrawling, shouldContinueUnattended } from './policy.ts';

// One blob on its way in: a file that grows, and the readers that follow it.
//
//        open()             bytes                       digest holds              commit()
//   opening ────▶ growing ─────────▶ growing … whole ───────────────▶ verified ─────────────▶ settled
//      │             │ ▲ body broke: opened again                        │ the disk refused      ▲
//      │             │ └─ at `written`                                   └───────────────────────┤
//      └─────────────┴──────── failed, abandoned or detached ────────────────────────────────────┘
//
// Detached: the disk refused the bytes. The file stays as it is, and each follower reads the rest from the origin.
//
// Invariants
//  1. The file holds the blob's first `written` bytes, and the digester has seen exactly those. One that begins late has lost the bytes
//     before `start`; no new follower needs them. What segments have fetched lies behind these, and is hashed when the front gets there.
//     No two write to the same place, and none where the digester has been, but for a repair (7).
//  2. A follower sees at most `visible` bytes. Until the digest holds that is one byte less than the whole, so a body that
//     turns out wrong can always be cut before it is complete. Where another upstream could be asked instead, the first
//     bytes are held back too: a short wrong body is then replaced, and no follower has seen any of it. A follower of a part far ahead
//     sees what has come there at once: its client checks it, or does not (decisions.md 4).
//  3. Only what was verified is committed.
//  4. The writer waits for no follower, and no follower for another. What is only passed on has no file: then the writer waits a moment
//     for its one follower, and begins the file where that falls behind or another follower comes.
//  5. A follower that leaves disturbs no other; when the last has left, shouldContinueUnattended() decides.
//  6. The file's descriptor is closed once, after the transfer has settled and the last follower has left.
//  7. Which upstream delivered which span is known. Where the digest does not hold, followers see nothing from the first span on that the most
//     trusted upstream did not deliver; that is asked for those spans again, alone. Where all of it holds then, followers that have asked
//     for a byte between the first and the last wrong one of a span are cut, and the others see the corrected file. A part that was read
//     to its end before cannot be taken back: its client checks it, or does not.

export class Ingest {
  readonly id = randomUUID().slice(0, 8);
  readonly startedAt = Date.now();
  readonly repository: Repository;
  /** The id of the request that started it. */
  readonly request: string | undefined;
  /** Resolves when the upstream has answered and its head is known; rejects with its failure. */
  readonly opened: Promise<void>;
  /** Resolves when nothing more will happen; never rejects. */
  readonly settled: Promise<IngestOutcome>;

  readonly #environment: IngestEnvironment<Ingest>;
  readonly #download: Download;
  #keep: boolean;
  #unattended = false;
  #watch: NodeJS.Timeout | undefined;
  readonly #abort = new AbortController();
  readonly #opened = Promise.withResolvers<void>();
  readonly #followers = new Set<Follower>();
  /** Resolves when a follower has read, come or left, for a writer that waits for it. */
  #moved: PromiseWithResolvers<void> | undefined;
  #error: Error | undefined;
  #isSettled = false;

  constructor(options: IngestOptions, environment: IngestEnvironment<Ingest>) {
    const { observer } = environment;
    this.repository = options.repository;
    this.request = options.request;
    this.#keep = options.keep;
    this.#environment = environment;
    this.#download = new Download(
      { ...options, registry: options.repository.registry, passesOn: options.passesOn === true && !options.keep },
      {
        open: environment.open,
        upstreams: environment.upstreams ?? (() => []),
        begin: environment.begin,
        keeping: environment.keeping,
        continued: (bytes) => observer.continued?.(this, bytes),
        opened: () => {
          observer.opened(this);
          this.#opened.resolve();
        },
        resumed: (reason) => observer.resumed(this, reason),
        corrected: (liars, trusted) => observer.corrected?.(this, liars, trusted),
        refused: (error) => observer.refused?.(this, error),
      },
      this.#audience(),
      this.#abort.signal,
    );
    this.opened = this.#opened.promise;
    // Marks a rejection as handled: the request that started the transfer may have ended.
    this.opened.catch(() => {});
    this.settled = this.#run();
  }

  /** Undefined until known. */
  get digest(): Digest | undefined {
    return this.#download.digest;
  }

  /** Bytes in all; undefined until known. */
  get size(): number | undefined {
    return this.#download.size;
  }

  /** Name of the upstream the bytes come from; empty until it has answered. */
  get upstream(): string {
    return this.#download.upstream;
  }

  get visibility(): Visibility {
    return this.#download.visibility;
  }

  /** Bytes from the start that have come. */
  get written(): number {
    return this.#download.written;
  }

  /** Bytes that have come, wherever they lie. */
  get received(): number {
    return this.#download.received;
  }

  /** Bytes of them that an earlier transfer had left. */
  get kept(): number {
    return this.#environment.keeping?.kept ?? 0;
  }

  /** Connections that it uses now. */
  get connections(): number {
    if (this.#isSettled || this.#download.verified) return 0;
    return this.#download.segments?.connections ?? 1;
  }

  /** What several connections do for it. */
  get split(): SplitFigures {
    const { segments, shares } = this.#download;
    return { connections: segments?.most ?? 1, gain: segments?.gain, upstreams: shares };
  }

  /** True while a new follower can read from the first byte on. */
  get isWhole(): boolean {
    return this.#download.bytes.start === 0;
  }

  /** True where the blob is kept when it is whole. */
  get keep(): boolean {
    return this.#keep;
  }

  get followers(): number {
    return this.#followers.size;
  }

  /** Whether an upstream has answered. */
  get isOpened(): boolean {
    return this.upstream !== '';
  }

  /** True while it holds a connection for no client. */
  get isUnattended(): boolean {
    return this.#followers.size === 0 && !this.verified && !this.#isSettled && !this.#abort.signal.aborted;
  }

  /** How many bytes a follower may see (invariant 2). */
  get visible(): number {
    return this.#download.visible;
  }

  /** True when the file is whole and its digest is right. */
  get verified(): boolean {
    return this.#download.verified;
  }

  /** Why there will be no more bytes; undefined while there may be. */
  get error(): Error | undefined {
    return this.#error;
  }

  /** True when it was ended from outside. */
  get isStopped(): boolean {
    return this.#abort.signal.aborted;
  }

  /** True when the disk refused the bytes: the rest comes from {@link openRest}. */
  get detached(): boolean {
    return this.#download.detached;
  }

  /** Aborted or failed, and not yet settled: a new request waits for `settled`, then starts a new ingest. */
  get ending(): boolean {
    return !this.verified && (this.#abort.signal.aborted || this.#error !== undefined);
  }

  /**
   * Attaches a reader. Call it in the turn of the event loop in which the ingest was found or started: an ingest without
   * followers may be aborted at any time.
   *
   * @param options `isAhead`: what it reads comes as soon as it can, before what lies in front of it
   */
  follow(span: ByteSpan, { isAhead = false }: { readonly isAhead?: boolean } = {}): BlobReader {
    const follower = new Follower(this, { span, isAhead }, () => this.#leave(follower));
    this.#followers.add(follower);
    this.moved();
    return follower;
  }

  /** Reads what is visible; used by followers only. */
  read(target: Buffer, position: number): Promise<number> {
    return this.#download.read(target, position);
  }

  /** See {@link Download.readableTo}. */
  readableTo(position: number): number {
    return this.#download.readableTo(position);
  }

  /**
   * Sees to it that a byte comes soon that lies far ahead, with those up to `end`; for whatever is not kept, or where it cannot, it
   * returns false.
   */
  bring(position: number, end: number): boolean {
    return this.#keep && !this.ending && !this.#isSettled && this.#download.bring(position, end);
  }

  /** Bytes that a part may lie ahead and still wait for what comes. */
  get soon(): number {
    return this.#download.soon;
  }

  /** Gives up connections that only make it faster: requests wait for them. */
  makeWay(): void {
    this.#download.segments?.makeWay();
  }

  /** A follower has had bytes. */
  moved(): void {
    this.#moved?.resolve();
    this.#moved = undefined;
  }

  /** See {@link Download.openRest}. */
  openRest(span: ByteSpan, position: number, signal: AbortSignal): Promise<BlobReader> {
    return this.#download.openRest(span, position, signal);
  }

  /** Continues to the end without followers. */
  continueUnattended(): void {
    this.#unattended = true;
    this.#watchProgress();
  }

  /** Delivers the blob without keeping it; without followers, the transfer stops. */
  stopCaching(): void {
    this.#keep = false;
    if (this.#followers.size === 0 && !this.#isSettled && !this.verified) {
      this.#abort.abort(new Error('The blob is not kept, and no client waits for it'));
    }
  }

  /** Stops the transfer and its followers (shutdown). */
  stop(reason: Error): void {
    this.#abort.abort(reason);
  }

  async #run(): Promise<IngestOutcome> {
    const { observer } = this.#environment;
    let outcome: IngestOutcome;
    try {
      await this.#download.run();
      outcome = await this.#publish();
    } catch (error) {
      this.#error = error instanceof Error ? error : new Error(String(error));
      outcome = this.#abort.signal.aborted ? 'aborted' : 'failed';
      if (this.detached) this.#opened.resolve();
      else this.#opened.reject(this.#error);
      if (this.#keep) await this.#download.leave(this.#error);
      else await this.#download.bytes.abort();
    }
    this.#isSettled = true;
    clearInterval(this.#watch);
    this.#notify();
    this.#closeWhenUnused();
    observer.settled(this, outcome, this.#error);
    return outcome;
  }

  async #publish(): Promise<IngestOutcome> {
    const { digest, size } = this;
    if (this.#keep && this.#environment.mayPublish?.() === false) this.#keep = false;
    if (this.#keep) await this.#environment.decided?.();
    if (!this.#keep) {
      await this.#download.bytes.abort();
      return 'streamed';
    }
    const { file } = this.#download.bytes;
    if (file === undefined || digest === undefined || size === undefined) {
      throw new TypeError('Cannot publish an ingest without a file');
    }
    try {
      await this.#environment.publish(file, { digest, size });
      return 'committed';
    } catch (error) {
      // Every follower gets the right bytes all the same: only the next pull costs more.
      this.#error = error instanceof Error ? error : new Error(String(error));
      this.#environment.observer.refused?.(this, error);
      await this.#download.bytes.abort();
      return 'streamed';
    }
  }

  #audience(): Audience {
    const followers = this.#followers;
    return {
      get position() {
        const [follower] = followers;
        return followers.size === 1 ? follower?.position : undefined;
      },
      notify: () => this.#notify(),
      notifyAhead: () => {
        for (const follower of followers) if (follower.isAhead) follower.wake();
      },
      cut: (spans, error) => {
        for (const follower of followers) {
          if (spans.some(({ start, end }) => follower.hasAsked(start, end))) follower.cut(error);
        }
      },
      moved: async (milliseconds) => {
        this.#moved ??= Promise.withResolvers();
        const timer = setTimeout(this.#moved.resolve, milliseconds);
        await this.#moved.promise;
        clearTimeout(timer);
        this.#moved = undefined;
      },
    };
  }

  #notify(): void {
    for (const follower of this.#followers) follower.wake();
  }

  #leave(follower: Follower): void {
    this.#followers.delete(follower);
    this.moved();
    if (this.#followers.size > 0) return;
    if (this.#isSettled) this.#closeWhenUnused();
    else if (this.verified) return;
    else if (this.#unattended || this.#mayContinue()) this.#watchProgress();
    else this.#abort.abort(new Error('Every client that waited for the blob has left'));
  }

  #mayContinue(): boolean {
    const progress = { written: this.received, size: this.size };
    return this.#keep && shouldContinueUnattended(progress) && this.#environment.mayContinue?.() !== false;
  }

  /** Gives the transfer up where it crawls while no client follows it. */
  #watchProgress(): void {
    let before = { received: this.received, written: this.written };
    this.#watch ??= setInterval(() => {
      const { received, written } = this;
      // What an earlier transfer has left comes from the disk.
      const came = Math.max(received - before.received, written - before.written);
      before = { received, written };
      if (this.isUnattended && came >= 0 && isCrawling(came)) {
        this.#abort.abort(new Error('The upstream sends too slowly for a transfer that no client waits for'));
      }
    }, CRAWL_SPAN_MS).unref();
  }

  #closeWhenUnused(): void {
    if (this.#followers.size > 0) return;
    this.#download.bytes.close();
  }
}
