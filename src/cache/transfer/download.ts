import { setTimeout as delay } from 'node:timers/promises';
import type { BlobReader, ByteSpan } from '../../lib/index.ts';
import { type Digest, isOriginFailure, type OriginBlob, type Visibility } from '../../oci/index.ts';
import { failureOf, OriginError } from '../origin-error.ts';
import { digesterOf, Front } from './front.ts';
import type { GrowingBytes } from './growing-bytes.ts';
import type { Audience, DownloadEnvironment, DownloadOptions, Splitting } from './ingest-types.ts';
import { wrongBytes } from './origin-reader.ts';
import { type Keeping, PartialContentError } from './partial/index.ts';
import { HELD_BACK, resumeDelay, SOON_REACHED, shouldResume, soonReached } from './policy.ts';
import { openRest } from './rest.ts';
import { type Extent, Segments, type SplitPolicy, splitAmong, type UpstreamShare } from './segments/index.ts';
import { Trust } from './trust.ts';

/** A body that the front reads. */
interface FrontBody {
  readonly blob: OriginBlob;
  /** The first byte behind it; undefined: it goes to the end of the blob. */
  readonly end: number | undefined;
}

/**
 * The bytes of one blob on their way in: asked for, continued where they break off, hashed in order, and written.
 *
 * The front is what has been hashed. Segments may fetch what lies ahead of it into the same file, where the size is known and
 * the file has begun; the front reads that back when it gets there.
 */
export class Download {
  /** Undefined until known. */
  digest: Digest | undefined;
  /** Bytes in all; undefined until known. */
  size: number | undefined;
  /** Name of the upstream that the front's bytes are asked of; empty until it has answered. Segments may have others. */
  upstream = '';
  visibility: Visibility = 'public';
  readonly #front: Front;
  readonly #environment: DownloadEnvironment;
  readonly #audience: Audience;
  readonly #signal: AbortSignal;
  readonly #passesOn: boolean;
  readonly #registry: string;
  readonly #expectedSize: number | undefined;
  readonly #splitting: Splitting | undefined;
  readonly #keeping: Keeping | undefined;
  readonly #trust = new Trust();
  /** The body that the front read last. */
  #body: OriginBlob | undefined;
  /** The first byte that no follower can have read. */
  #seen = 0;
  #segments: Segments | undefined;
  #hasBegun = false;
  #verified = false;
  /** The whole has another digest. */
  #isWrong = false;
  /** What the disk said where it refused the bytes. */
  #diskError: unknown;
  #detached = false;

  constructor(options: DownloadOptions, environment: DownloadEnvironment, audience: Audience, signal: AbortSignal) {
    this.digest = options.digest;
    this.size = options.expectedSize;
    this.#expectedSize = options.expectedSize;
    this.#passesOn = options.passesOn;
    this.#registry = options.registry;
    this.#splitting = options.splitting;
    this.#environment = environment;
    this.#audience = audience;
    this.#signal = signal;
    this.#keeping = environment.keeping;
    this.#front = new Front({
      ...environment,
      digest: options.digest,
      passesOn: options.passesOn,
      audience,
      signal,
      segments: () => this.#segments,
      begun: () => this.#keeping?.watch(this, this.#front.digester),
      refused: (error) => this.#detach(error),
    });
  }

  get bytes(): GrowingBytes {
    return this.#front.bytes;
  }

  /** Bytes from the start that have come, and were hashed. */
  get written(): number {
    return this.#front.written;
  }

  /** Bytes that have come, ahead of the front too. */
  get received(): number {
    return this.written + (this.#segments?.bytes ?? 0);
  }

  /** What comes ahead of the front; undefined where nothing does. */
  get segments(): Segments | undefined {
    return this.#segments;
  }

  /** True when the file is whole and its digest is right. */
  get verified(): boolean {
    return this.#verified;
  }

  /** True when the disk refused the bytes. */
  get detached(): boolean {
    return this.#detached;
  }

  /** How many bytes from the start may be seen. Until the digest holds, one less than the whole. */
  get visible(): number {
    if (this.#verified) return this.written;
    if (this.digest !== undefined && this.#trust.first?.giveUp !== undefined && this.written < HELD_BACK) return 0;
    const readable = this.#front.readableTo;
    return this.size === undefined ? readable : Math.min(readable, this.size - 1, this.#trust.doubted ?? this.size);
  }

  /** Reads what is visible, from memory where it has just come and from the growing file otherwise. */
  read(target: Buffer, position: number): Promise<number> {
    this.#seen = Math.max(this.#seen, position + target.length);
    return this.bytes.read(target, position);
  }

  /** The first byte from a position on that cannot be read yet, where what is read is not held back until the digest holds. */
  readableTo(position: number): number {
    const { written } = this;
    if (this.#trust.doubted !== undefined) return Math.max(position, this.#trust.doubted);
    // What was kept is compared with its note first.
    if (this.#keeping?.isCompared(position) === true) return Math.max(position, this.#front.readableTo);
    return position < written ? written : (this.#segments?.coveredTo(position) ?? position);
  }

  /** See {@link Segments.bring}. */
  bring(position: number, end: number): boolean {
    if (this.#detached || !this.isSplittable) return false;
    return position < this.written || this.#split()?.bring(position, end) === true;
  }

  /** Bytes that a part may lie ahead of the front and still wait for it. */
  get soon(): number {
    return this.#policy === undefined || !this.isSplittable ? SOON_REACHED : soonReached(this.#policy);
  }

  /** Whether parts of it may be fetched before others. */
  get isSplittable(): boolean {
    return this.size !== undefined && this.#policy !== undefined && this.#policy.connections > 1;
  }

  get #policy(): Pick<SplitPolicy, 'connections' | 'minSegment'> | undefined {
    const splitting = this.#splitting;
    if (splitting === undefined) return undefined;
    const upstreams = this.#environment.upstreams();
    return splitAmong(upstreams.length === 0 ? [this.upstream] : upstreams, splitting.policy);
  }

  /** What each upstream does for it, where parts are fetched at once; else empty. */
  get shares(): readonly UpstreamShare[] {
    return this.#segments?.shares ?? [];
  }

  /**
   * Asks, writes and hashes until all has come and the digest holds.
   *
   * @throws {Error} where it does not come, or is wrong
   */
  async run(): Promise<void> {
    const signal = this.#signal;
    let body: FrontBody | undefined;
    let failures = 0;
    try {
      await this.#continue();
      for (;;) {
        try {
          if (this.#detached) throw this.#diskError;
          const before = this.written;
          body ??= await this.#catchUp();
          if (this.written > before) failures = 0;
          if (this.#hasBegun && this.written === this.size) {
            if (await this.#verify()) return;
            // The front has gone back: its body ends here, or stalls.
            body?.blob.body.cancel();
            this.#body = body = undefined;
            continue;
          }
          if (body === undefined) {
            body = await this.#open(failures);
            await this.#accept(body.blob);
          }
          // Stops at `size` bytes without waiting for the end of the body: an upstream may stall after the last byte.
          this.#body = body.blob;
          const chunk = this.written === this.size ? undefined : await body.blob.body.read();
          let isOver = false;
          if (chunk === undefined && this.#isEnd(body)) {
            if (this.size === undefined || this.written === this.size) {
              if (await this.#verify()) return;
              isOver = true;
            }
          } else if (chunk !== undefined && chunk.length > 0) {
            this.#segments?.giveWay(this.written + chunk.length, body.end);
            const own = this.#ownPart(chunk);
            // The rest of the chunk is lost: the body cannot be read on, even where none else fetches that any more.
            isOver = own.length < chunk.length;
            await this.#append(own, body.blob);
            failures = 0;
          }
          if (isOver || this.#isOver(body)) {
            body.blob.body.cancel();
            this.#body = body = undefined;
          }
        } catch (error) {
          body?.blob.body.cancel();
          const source = body?.blob;
          this.#body = body = undefined;
          failures += 1;
          signal.throwIfAborted();
          // Before the first answer, the failover behind open() has tried every upstream. An error of the body without a
          // kind means that it broke off.
          const { kind, retryAfter } = isOriginFailure(error) ? error : { kind: 'unavailable' as const };
          if (this.#detached || (!this.#hasBegun && source === undefined)) throw error;
          if (error instanceof PartialContentError) throw error;
          const isSplit = this.#segments !== undefined && this.#segments.most > 1;
          if (!shouldResume({ failuresWithoutProgress: failures, kind, isSplit })) {
            const wrong = source ?? (kind === 'invalid' ? this.#trust.first : undefined);
            if (wrong === undefined || !(await this.#turnAway(wrong, kind))) {
              throw failureOf(error, { upstream: this.upstream, another: wrong?.giveUp !== undefined });
            }
            failures = 0;
          }
          await delay(resumeDelay(failures, retryAfter), undefined, { signal });
          this.#environment.resumed((error as Error).message);
        }
      }
    } finally {
      body?.blob.body.cancel();
      this.#keeping?.stop();
      await this.#segments?.close();
    }
  }

  /** See {@link openRest}. */
  openRest(span: ByteSpan, position: number, signal: AbortSignal): Promise<BlobReader> {
    const { size, digest } = this;
    const { open } = this.#environment;
    const digesterAt = this.#front.digesterAt.bind(this.#front);
    const { deliveries } = this.#trust;
    const isOnlyOf = (upstream: string): boolean =>
      (this.#keeping?.kept ?? 0) === 0 && deliveries.spansBesides(upstream)?.length === 0;
    return openRest(span, position, { size, digest, open, signal, digesterAt, isOnlyOf });
  }

  /** Leaves the file of a transfer that failed to the next one, where that is of use; else removes it. */
  async leave(error: Error): Promise<void> {
    const mayKeep = !this.#isWrong && !(error instanceof PartialContentError) && !this.#detached && this.#hasBegun;
    if (mayKeep && (await this.#keeping?.leave(this, this.#front.digester)) === true) return;
    await this.bytes.abort();
  }

  /** What has come ahead of the front. */
  get extents(): Iterable<Extent> {
    return this.#segments?.extents ?? [];
  }

  async #open(failures: number): Promise<FrontBody> {
    const { written: offset } = this;
    const limit = this.#limit;
    // The first request is for the whole blob: its answer says how long that is.
    const end = this.#hasBegun && limit !== undefined && limit !== this.size ? limit : undefined;
    const size = this.#expectedSize;
    const part = end === undefined ? {} : { end: end - 1 };
    // Where it has failed, as the registry orders them.
    const prefer = failures > 0 ? undefined : this.#segments?.nextForFront(this.#trust.upstream);
    const blob = await this.#environment.open({ offset, size, signal: this.#signal, prefer, ...part });
    this.#body = blob;
    if (prefer === undefined) this.#answered(blob);
    return { blob, end };
  }

  /** Goes on with what an earlier transfer has left. An upstream answers for the blob first. */
  async #continue(): Promise<void> {
    const keeping = this.#splitting === undefined ? undefined : this.#keeping;
    const kept = await keeping?.reopen(this.#expectedSize, this.#front.digester);
    if (keeping === undefined || kept === undefined) return;
    const { size, at, end } = kept;
    try {
      const options = { offset: at, end: end - 1, size: this.#expectedSize, signal: this.#signal };
      const blob = await this.#environment.open(options);
      if (blob.offset !== at || (blob.size ?? size) !== size) {
        blob.body.cancel();
        return await keeping.drop();
      }
      this.#answered(blob);
      this.#trust.begins(blob);
      this.size = size;
      this.bytes.adopt(kept.file);
      this.#hasBegun = true;
      this.#split(kept.extents)?.advance(blob, end);
    } catch (error) {
      // Where no manifest says how long the blob is, the part may lie behind its end.
      const isOther = this.#expectedSize === undefined && isOriginFailure(error) && error.kind === 'invalid';
      if (isOther) return await keeping.drop();
      await keeping.giveBack();
      throw error;
    }
    keeping.watch(this, this.#front.digester);
    this.#environment.opened();
    this.#environment.continued(kept.bytes);
    if (this.#isLarge) this.#split()?.begin();
  }

  /** The first byte that the front does not have to fetch; undefined where the size is not known. */
  get #limit(): number | undefined {
    return this.#segments?.limitFrom(this.written) ?? this.size;
  }

  /** Whether the front goes on without the body: another has what comes next, or it has ended where it was to. */
  #isOver({ end }: FrontBody): boolean {
    const { written } = this;
    return written !== this.size && (written === this.#limit || (end !== undefined && written >= end));
  }

  /** Called where a body has ended. @throws {OriginError} where it ended early */
  #isEnd({ blob: { upstream }, end = this.size }: FrontBody): boolean {
    if (end === undefined || this.written >= end) return true;
    const message = `${upstream} ended after ${this.written} of ${this.size} bytes`;
    throw new OriginError(message, { kind: 'unavailable', upstream });
  }

  /** Of a chunk what no segment fetches. */
  #ownPart(chunk: Buffer): Buffer {
    if (this.#segments === undefined) return chunk;
    const own = (this.#limit ?? Number.POSITIVE_INFINITY) - this.written;
    // What exceeds the blob is an error, which is told where it is appended.
    return own < chunk.length && this.#limit !== this.size ? chunk.subarray(0, own) : chunk;
  }

  /** Hashes what has come ahead of the front, up to a byte that has not. @returns the body of the segment that fetches it */
  async #catchUp(): Promise<FrontBody | undefined> {
    const segments = this.#segments;
    let body: FrontBody | undefined;
    if (segments === undefined) return undefined;
    for (;;) {
      const end = segments.coveredTo(this.written);
      if (end > this.written) await this.#front.hashTo(end, segments);
      else if (body !== undefined || this.written === this.size) return body;
      else {
        body = await segments.takeOver(this.written);
        if (body === undefined && segments.coveredTo(this.written) === this.written) return undefined;
        if (body !== undefined) this.#body = body.blob;
      }
      this.#signal.throwIfAborted();
    }
  }

  /** Whether more than one connection may be tried. */
  get #isLarge(): boolean {
    return this.isSplittable && (this.size ?? 0) >= 2 * (this.#policy?.minSegment ?? 0);
  }

  /** The segments of the download, which begin with the first call where there can be any. */
  #split(extents?: Iterable<Extent>): Segments | undefined {
    const { size } = this;
    if (this.#segments !== undefined || this.#splitting === undefined) return this.#segments;
    const { file } = this.bytes;
    if (size === undefined || file === undefined || this.bytes.start > 0 || !this.#hasBegun) return undefined;
    const transfer = {
      registry: this.#registry,
      upstream: () => this.upstream,
      reading: () => this.#body?.upstream ?? '',
      upstreams: this.#environment.upstreams,
      deliveries: this.#trust.deliveries,
      leave: (upstream: string) => {
        if (this.#body?.upstream === upstream && upstream !== this.#trust.upstream) this.#body.body.cancel();
      },
      written: () => this.written,
      reach: () => this.#front.reach,
      signal: this.#signal,
      open: this.#environment.open,
      write: (chunk: Buffer, position: number) => file.write(chunk, position),
      moved: () => this.#audience.notifyAhead(),
      refused: (error: unknown) => this.#detach(error),
    };
    const { policy, slots } = this.#splitting;
    this.#segments = new Segments(transfer, { size, policyOf: policy, slots, ...(extents && { extents }) });
    return this.#segments;
  }

  /**
   * Gives up the upstream of a body that is wrong or never ends, where another one can be asked: for the rest, or for all of
   * it while no follower has seen a byte. False: the transfer fails.
   */
  async #turnAway(source: OriginBlob, kind: string): Promise<boolean> {
    if (!this.#trust.giveUp(source, { isWhole: this.#isWrong, isMixed: this.#segments !== undefined })) return false;
    if (this.#seen > 0) return kind !== 'invalid';
    // Answers may have begun with the size that the wrong one gave.
    if (this.#hasBegun && this.size !== this.#expectedSize) return false;
    this.#trust.reset();
    await this.#segments?.close();
    this.#segments = undefined;
    // What was written may be longer than the blob.
    this.#isWrong = false;
    await this.#front.reset();
    if (this.#hasBegun && !this.#passesOn) await this.#front.begin();
    return true;
  }

  /** False where the front goes back, as what was kept is wrong. */
  async #verify(): Promise<boolean> {
    // None has anything left to fetch; one may still have the file.
    await this.#segments?.close();
    const found = this.#front.digester.digest();
    if (this.digest !== undefined && found !== this.digest && !(await this.#repair(this.digest))) {
      const to = this.#keeping?.wrong(this.#seen, { fresh: digesterOf(this.digest), upstream: this.upstream });
      if (to !== undefined) {
        this.#segments = undefined;
        this.#trust.clear();
        this.#front.goBack(to);
        return false;
      }
      this.#isWrong = true;
      throw wrongBytes(`Bytes from ${this.upstream} have the digest ${found} instead of ${this.digest}`, this.upstream);
    }
    this.digest ??= found;
    this.size = this.written;
    this.#trust.clear();
    this.#verified = true;
    this.#audience.notify();
    return true;
  }

  /**
   * Corrects what other upstreams than the most trusted delivered. Followers that have read any wrong byte are cut; the others go on.
   *
   * @returns whether the digest holds then
   */
  async #repair(digest: Digest): Promise<boolean> {
    const { size } = this;
    const { file } = this.bytes;
    if (size === undefined || file === undefined) return false;
    const { open } = this.#environment;
    const { connections = 1, mostOfUpstream = 0 } = this.#splitting?.policy(this.#trust.upstream) ?? {};
    const most = Math.max(1, Math.min(connections, mostOfUpstream + 1));
    const asked = { digest, size, file, open, signal: this.#signal, connections: most };
    const corrected = await this.#trust.repair(asked);
    // Memory has what was in the file before.
    this.bytes.forgetTail();
    if (corrected === undefined) return false;
    const { liars, spans } = corrected;
    this.#environment.corrected(liars, this.#trust.upstream);
    this.#audience.cut(spans, wrongBytes(`${liars} sent other bytes than the digest says`, liars, true));
    return true;
  }

  /** Checks offset and size of the body, the first time and after each break; the first time it begins the file. */
  async #accept(blob: OriginBlob): Promise<void> {
    if (blob.offset !== this.written) {
      throw wrongBytes(`Asked ${blob.upstream} for offset ${this.written} and got ${blob.offset}`, blob.upstream);
    }
    if (blob.size !== undefined && this.size !== undefined && blob.size !== this.size) {
      const { upstream, size } = blob;
      throw wrongBytes(`${upstream} gives ${size} bytes for a blob of ${this.size}`, upstream);
    }
    this.size ??= blob.size;
    if (this.written === 0) this.#trust.begins(blob);
    if (!this.#hasBegun) {
      if (!this.#passesOn) await this.#front.begin();
      this.#hasBegun = true;
      this.#environment.opened();
    }
    // Also where all of it is fetched again.
    if (this.#isLarge) this.#split()?.begin();
  }

  #answered({ upstream, visibility }: OriginBlob): void {
    this.upstream = upstream;
    this.visibility = visibility;
  }

  async #append(chunk: Buffer, source: OriginBlob): Promise<void> {
    const position = this.written;
    if (this.size !== undefined && position + chunk.length > this.size) {
      throw wrongBytes(`${this.upstream} sends more than the ${this.size} bytes it promised`, this.upstream);
    }
    await this.#front.append(chunk);
    this.#trust.deliveries.came(source, position, position + chunk.length);
  }

  #detach(error: unknown): void {
    if (this.#detached) return;
    this.#detached = true;
    this.#diskError = error;
    void this.#segments?.close();
    this.#environment.refused(error);
  }
}
