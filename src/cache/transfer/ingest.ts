import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import type { BlobReader, ByteSpan } from '../../lib/index.ts';
import {
  type Digest,
  Digester,
  digestAlgorithm,
  isOriginFailure,
  type OriginBlob,
  type Repository,
  type Visibility,
} from '../../oci/index.ts';
import { OriginError } from '../origin-error.ts';
import { Follower } from './follower.ts';
import { GrowingBytes } from './growing-bytes.ts';
import type { IngestEnvironment, IngestOptions, IngestOutcome } from './ingest-types.ts';
import { OriginReader, wrongBytes } from './origin-reader.ts';
import {
  CRAWL_SPAN_MS,
  HELD_BACK,
  isCrawling,
  PASSING_ON_WAITS_MS,
  resumeDelay,
  shouldContinueUnattended,
  shouldResume,
} from './policy.ts';

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
//  1. The file holds the blob's first `written` bytes in order, and the digester has seen exactly those. One that begins late has lost
//     the bytes before `start`; no new follower needs them.
//  2. A follower sees at most `visible` bytes. Until the digest holds that is one byte less than the whole, so a body that
//     turns out wrong can always be cut before it is complete. Where another upstream could be asked instead, the first
//     bytes are held back too: a short wrong body is then replaced, and no follower has seen any of it.
//  3. Only what was verified is committed.
//  4. The writer waits for no follower, and no follower for another. What is only passed on has no file: then the writer waits a moment
//     for its one follower, and begins the file where that falls behind or another follower comes.
//  5. A follower that leaves disturbs no other; when the last has left, shouldContinueUnattended() decides.
//  6. The file's descriptor is closed once, after the transfer has settled and the last follower has left.

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

  /** Undefined until known. */
  digest: Digest | undefined;
  /** Bytes in all; undefined until known. */
  size: number | undefined;
  /** Name of the upstream the bytes come from; empty until it has answered. */
  upstream = '';
  visibility: Visibility = 'public';

  readonly #environment: IngestEnvironment<Ingest>;
  #keep: boolean;
  #unattended = false;
  #watch: NodeJS.Timeout | undefined;
  readonly #abort = new AbortController();
  readonly #opened = Promise.withResolvers<void>();
  readonly #followers = new Set<Follower>();
  readonly #passesOn: boolean;
  /** Resolves when a follower has read, come or left, for a writer that waits for it. */
  #moved: PromiseWithResolvers<void> | undefined;
  readonly #expectedSize: number | undefined;
  /** Upstreams that gave it wrongly. */
  readonly #refused = new Set<string>();
  /** The body that the first bytes of the file come from. */
  #first: OriginBlob | undefined;
  /** True once a follower has read a byte. */
  #isSeen = false;
  #digester: Digester;
  /** What the digester had seen when the file began late, or could not begin. */
  #before: { readonly position: number; readonly digester: Digester } | undefined;
  readonly #bytes: GrowingBytes;
  #hasBegun = false;
  #verified = false;
  #error: Error | undefined;
  #detached = false;
  #isSettled = false;

  constructor(options: IngestOptions, environment: IngestEnvironment<Ingest>) {
    this.repository = options.repository;
    this.request = options.request;
    this.digest = options.digest;
    this.size = options.expectedSize;
    this.#expectedSize = options.expectedSize;
    this.#digester = digesterOf(options.digest);
    this.#keep = options.keep;
    this.#passesOn = options.passesOn === true && !options.keep;
    this.#environment = environment;
    this.#bytes = new GrowingBytes(environment.begin, { passesOn: this.#passesOn });
    this.opened = this.#opened.promise;
    // Marks a rejection as handled: the request that started the transfer may have ended.
    this.opened.catch(() => {});
    this.settled = this.#run();
  }

  /** Bytes from the start that have come. */
  get written(): number {
    return this.#bytes.written;
  }

  /** True while a new follower can read from the first byte on. */
  get isWhole(): boolean {
    return this.#bytes.start === 0;
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
    return this.#followers.size === 0 && !this.#verified && !this.#isSettled && !this.#abort.signal.aborted;
  }

  /** How many bytes a follower may see (invariant 2). */
  get visible(): number {
    if (this.#verified) return this.written;
    if (this.digest !== undefined && this.#first?.giveUp !== undefined && this.written < HELD_BACK) return 0;
    if (this.size === undefined) return this.written;
    return Math.min(this.written, this.size - 1);
  }

  /** True when the file is whole and its digest is right. */
  get verified(): boolean {
    return this.#verified;
  }

  /** Why there will be no more bytes; undefined while there may be. */
  get error(): Error | undefined {
    return this.#error;
  }

  /** True when the disk refused the bytes: the rest comes from {@link openRest}. */
  get detached(): boolean {
    return this.#detached;
  }

  /** Aborted or failed, and not yet settled: a new request waits for `settled`, then starts a new ingest. */
  get ending(): boolean {
    return !this.#verified && (this.#abort.signal.aborted || this.#error !== undefined);
  }

  /**
   * Attaches a reader. Call it in the turn of the event loop in which the ingest was found or started: an ingest without
   * followers may be aborted at any time.
   */
  follow(span: ByteSpan): BlobReader {
    const follower = new Follower(this, span, () => this.#leave(follower));
    this.#followers.add(follower);
    this.moved();
    return follower;
  }

  /** Reads what is visible, from memory where it has just come and from the growing file otherwise; used by followers only. */
  read(target: Buffer, position: number): Promise<number> {
    this.#isSeen = true;
    return this.#bytes.read(target, position);
  }

  /** A follower has had bytes. */
  moved(): void {
    this.#moved?.resolve();
    this.#moved = undefined;
  }

  /**
   * The rest of a span, for a follower of a detached transfer that has had everything before `position`.
   *
   * The whole blob is still verified before its last byte, where its digest is known: what the file holds is hashed again
   * first.
   */
  async openRest(span: ByteSpan, position: number, signal: AbortSignal): Promise<BlobReader> {
    const options = { offset: position, signal, end: span.end };
    const { size, digest: expect } = this;
    if (span.start > 0 || span.end !== undefined || expect === undefined) {
      return new OriginReader(await this.#environment.open(options), { end: span.end, size });
    }
    const before = this.#before !== undefined && this.#before.position <= position ? this.#before : undefined;
    const digester = before?.digester.copy() ?? digesterOf(expect);
    const buffer = Buffer.allocUnsafe(256 * 1024);
    for (let hashed = before?.position ?? 0; hashed < position; ) {
      const count = await this.#bytes.readFile(buffer.subarray(0, Math.min(buffer.length, position - hashed)), hashed);
      if (count === 0) throw new Error('Cannot read the growing file as it is shorter than what was written to it');
      signal.throwIfAborted();
      digester.update(buffer.subarray(0, count));
      hashed += count;
    }
    return new OriginReader(await this.#environment.open(options), { expect, digester, size });
  }

  /** Continues to the end without followers. */
  continueUnattended(): void {
    this.#unattended = true;
    this.#watchProgress();
  }

  /** Delivers the blob without keeping it; without followers, the transfer stops. */
  stopCaching(): void {
    this.#keep = false;
    if (this.#followers.size === 0 && !this.#isSettled && !this.#verified) {
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
      await this.#transfer();
      outcome = await this.#publish();
    } catch (error) {
      this.#error = error instanceof Error ? error : new Error(String(error));
      outcome = this.#abort.signal.aborted ? 'aborted' : 'failed';
      if (this.#detached) this.#opened.resolve();
      else this.#opened.reject(this.#error);
      await this.#bytes.abort();
    }
    this.#isSettled = true;
    clearInterval(this.#watch);
    this.#notify();
    this.#closeWhenUnused();
    observer.settled(this, outcome, this.#error);
    return outcome;
  }

  async #transfer(): Promise<void> {
    const { signal } = this.#abort;
    let blob: OriginBlob | undefined;
    let failures = 0;
    try {
      for (;;) {
        try {
          if (blob === undefined) {
            blob = await this.#environment.open({ offset: this.written, size: this.#expectedSize, signal });
            await this.#accept(blob);
          }
          // Stops at `size` bytes without waiting for the end of the body: an upstream may stall after the last byte.
          const chunk = this.written === this.size ? undefined : await blob.body.read();
          if (chunk === undefined) {
            if (this.size !== undefined && this.written < this.size) {
              const message = `${this.upstream} ended after ${this.written} of ${this.size} bytes`;
              throw new OriginError(message, { kind: 'unavailable', upstream: this.upstream });
            }
            return this.#verify();
          }
          if (chunk.length === 0) continue;
          await this.#append(chunk);
          failures = 0;
        } catch (error) {
          blob?.body.cancel();
          const source = blob;
          blob = undefined;
          failures += 1;
          signal.throwIfAborted();
          // Before the first answer, the failover behind open() has tried every upstream. An error of the body without a
          // kind means that it broke off.
          const { kind, retryAfter } = isOriginFailure(error) ? error : { kind: 'unavailable' as const };
          if (this.#detached || (!this.#hasBegun && source === undefined)) throw error;
          if (!shouldResume({ failuresWithoutProgress: failures, kind })) {
            if (source === undefined || !(await this.#turnAway(source, kind))) {
              throw this.#failure(error, source?.giveUp !== undefined);
            }
            failures = 0;
          }
          await delay(resumeDelay(failures, retryAfter), undefined, { signal });
          this.#environment.observer.resumed(this, (error as Error).message);
        }
      }
    } finally {
      blob?.body.cancel();
    }
  }

  /**
   * Gives up the upstream of a body that is wrong or never ends, where another one can be asked: for the rest, or for all of
   * it while no follower has seen a byte. False: the transfer fails.
   */
  async #turnAway(source: OriginBlob, kind: string): Promise<boolean> {
    const wrong = kind === 'invalid' ? (this.#first ?? source) : source;
    if (wrong.giveUp === undefined) return false;
    wrong.giveUp();
    if (this.#refused.has(wrong.upstream)) return false;
    this.#refused.add(wrong.upstream);
    if (this.#isSeen) return kind !== 'invalid';
    // Answers may have begun with the size that the wrong one gave.
    if (this.#hasBegun && this.size !== this.#expectedSize) return false;
    this.#first = undefined;
    this.#digester = digesterOf(this.digest);
    this.#before = undefined;
    // What was written may be longer than the blob.
    await this.#bytes.reset();
    if (this.#hasBegun && !this.#passesOn) await this.#begin();
    return true;
  }

  /** @param another see {@link OriginError.another} */
  #failure(error: unknown, another: boolean): Error {
    const { upstream } = this;
    const { message } = error as Error;
    if (!isOriginFailure(error)) {
      return new OriginError(`${upstream} broke off: ${message}`, {
        kind: 'unavailable',
        upstream,
        another,
        cause: error,
      });
    }
    const { kind, retryAfter } = error;
    return another ? new OriginError(message, { kind, upstream, retryAfter, another, cause: error }) : error;
  }

  #verify(): void {
    const found = this.#digester.digest();
    if (this.digest !== undefined && found !== this.digest) {
      throw wrongBytes(`Bytes from ${this.upstream} have the digest ${found} instead of ${this.digest}`, this.upstream);
    }
    this.digest = found;
    this.size = this.written;
    this.#verified = true;
    this.#notify();
  }

  /** Checks offset and size of the body, the first time and after each break; the first time it begins the file. */
  async #accept(blob: OriginBlob): Promise<void> {
    this.upstream = blob.upstream;
    this.visibility = blob.visibility;
    if (blob.offset !== this.written) {
      throw wrongBytes(`Asked ${blob.upstream} for offset ${this.written} and got ${blob.offset}`, blob.upstream);
    }
    if (blob.size !== undefined && this.size !== undefined && blob.size !== this.size) {
      const { upstream, size } = blob;
      throw wrongBytes(`${upstream} gives ${size} bytes for a blob of ${this.size}`, upstream);
    }
    this.size ??= blob.size;
    if (this.written === 0) this.#first = blob;
    if (this.#hasBegun) return;
    if (!this.#passesOn) await this.#begin();
    this.#hasBegun = true;
    this.#environment.observer.opened(this);
    this.#opened.resolve();
  }

  async #begin(): Promise<void> {
    try {
      await this.#bytes.begin();
    } catch (error) {
      this.#detach(error);
      throw error;
    }
  }

  async #append(chunk: Buffer): Promise<void> {
    if (this.size !== undefined && this.written + chunk.length > this.size) {
      throw wrongBytes(`${this.upstream} sends more than the ${this.size} bytes it promised`, this.upstream);
    }
    // Until it is appended, nothing else may happen: another follower may come during any `await`.
    while (!this.#hasRoom(chunk.length)) await this.#makeRoom(chunk.length);
    // The disk works while the processor hashes.
    const writing = this.#bytes.write(chunk);
    this.#digester.update(chunk);
    try {
      if (writing !== undefined) await writing;
    } catch (error) {
      this.#detach(error);
      throw error;
    }
    this.#bytes.append(chunk);
    this.#notify();
  }

  /** Whether a chunk can be appended: to the file, or, where there is none, to memory that holds all that the one follower lacks. */
  #hasRoom(chunk: number): boolean {
    if (this.#bytes.file !== undefined) return true;
    const [follower] = this.#followers;
    return follower !== undefined && this.#followers.size === 1 && this.#bytes.keeps(follower.position, chunk);
  }

  /** Waits a moment for the one follower to make room for a chunk; begins the file where it does not, and where it is not the only one. */
  async #makeRoom(chunk: number): Promise<void> {
    const deadline = performance.now() + PASSING_ON_WAITS_MS;
    const canHelp = this.#bytes.keeps(this.written, chunk);
    for (
      let left = canHelp ? PASSING_ON_WAITS_MS : 0;
      left > 0 && this.#followers.size === 1;
      left = deadline - performance.now()
    ) {
      this.#moved ??= Promise.withResolvers();
      const timer = setTimeout(this.#moved.resolve, left);
      await this.#moved.promise;
      clearTimeout(timer);
      this.#moved = undefined;
      if (this.#hasRoom(chunk)) return;
    }
    this.#abort.signal.throwIfAborted();
    this.#before = { position: this.written, digester: this.#digester.copy() };
    await this.#begin();
  }

  async #publish(): Promise<IngestOutcome> {
    const { digest, size } = this;
    if (this.#keep && this.#environment.mayPublish?.() === false) this.#keep = false;
    if (this.#keep) await this.#environment.decided?.();
    if (!this.#keep) {
      await this.#bytes.abort();
      return 'streamed';
    }
    const { file } = this.#bytes;
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
      await this.#bytes.abort();
      return 'streamed';
    }
  }

  #detach(error: unknown): void {
    this.#detached = true;
    this.#environment.observer.refused?.(this, error);
  }

  #notify(): void {
    for (const follower of this.#followers) follower.wake();
  }

  #leave(follower: Follower): void {
    this.#followers.delete(follower);
    this.moved();
    if (this.#followers.size > 0) return;
    if (this.#isSettled) this.#closeWhenUnused();
    else if (this.#verified) return;
    else if (this.#unattended || this.#mayContinue()) this.#watchProgress();
    else this.#abort.abort(new Error('Every client that waited for the blob has left'));
  }

  #mayContinue(): boolean {
    return this.#keep && shouldContinueUnattended(this) && this.#environment.mayContinue?.() !== false;
  }

  /** Gives the transfer up where it crawls while no client follows it. */
  #watchProgress(): void {
    let before = this.written;
    this.#watch ??= setInterval(() => {
      const came = this.written - before;
      before = this.written;
      if (this.isUnattended && came >= 0 && isCrawling(came)) {
        this.#abort.abort(new Error('The upstream sends too slowly for a transfer that no client waits for'));
      }
    }, CRAWL_SPAN_MS).unref();
  }

  #closeWhenUnused(): void {
    if (this.#followers.size > 0) return;
    this.#bytes.close();
  }
}

function digesterOf(digest: Digest | undefined): Digester {
  return new Digester(digest === undefined ? 'sha256' : digestAlgorithm(digest));
}
