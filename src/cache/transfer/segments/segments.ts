import { isOriginFailure, type OpenBlobOptions, type OriginBlob } from '../../../oci/index.ts';
import { soonReached } from '../policy.ts';
import { type Extent, Extents } from './extents.ts';
import { Growth, STEP_MS } from './growth.ts';
import { planSegment } from './plan.ts';
import { DiskError, Segment, type SegmentOutcome } from './segment.ts';
import type { SegmentSlots, SplitPolicy } from './slots.ts';

/** Spans that a transfer keeps ahead of its front. */
const MOST_EXTENTS = 4096;

/** Bytes of a span that the front skips by another request; what is shorter it fetches again. */
const LEAST_SKIPPED = 32 * 1024;

/** A transfer, as its segments see it. */
export interface SegmentedTransfer {
  readonly registry: string;
  /** Name of the upstream that the front reads from; empty until it has answered. */
  readonly upstream: () => string;
  /** The first byte that the front lacks. */
  readonly written: () => number;
  /** The first byte that the front can leave to a segment: what it is writing stays with it. */
  readonly reach: () => number;
  /** Ends everything. */
  readonly signal: AbortSignal;
  readonly open: (options: OpenBlobOptions) => Promise<OriginBlob>;
  /** Writes to the growing file. */
  readonly write: (chunk: Buffer, position: number) => Promise<void>;
  /** Called when bytes have come, or a segment has ended. */
  readonly moved: () => void;
  /** Called where the disk refuses bytes. */
  readonly refused: (error: unknown) => void;
}

interface SegmentsOptions {
  /** Bytes of the blob. */
  readonly size: number;
  readonly policy: SplitPolicy;
  readonly slots: SegmentSlots;
}

interface Running {
  readonly segment: Segment;
  readonly release: (() => void) | undefined;
}

/**
 * What comes ahead of the front of a transfer, into the same file: segments that make it faster, and parts that clients read.
 *
 * A byte belongs to the front or to one segment at a time: two never write to the same place.
 */
export class Segments {
  readonly #transfer: SegmentedTransfer;
  readonly #options: SegmentsOptions;
  readonly #extents = new Extents();
  readonly #growth: Growth;
  /** By their start. */
  #running: Running[] = [];
  #timer: NodeJS.Timeout | undefined;
  #isClosed = false;
  /** A part that a client reads could not be had. */
  #failed = false;
  #most = 1;
  /** One body of each upstream that bytes came from, by its name. */
  readonly #sources = new Map<string, OriginBlob>();

  constructor(transfer: SegmentedTransfer, options: SegmentsOptions) {
    this.#transfer = transfer;
    this.#options = options;
    this.#growth = new Growth(options.policy.connections);
  }

  /** Tries from now on whether more connections make the transfer faster. */
  begin(): void {
    if (this.#timer !== undefined || this.#isClosed) return;
    this.#timer = setInterval(() => this.#step(), STEP_MS).unref();
    this.#step();
  }

  /** Connections in use, the front's among them. */
  get connections(): number {
    return this.#running.length + 1;
  }

  /** The most connections that were in use at once. */
  get most(): number {
    return this.#most;
  }

  /** Bytes that have come ahead of the front. */
  get bytes(): number {
    return this.#extents.bytes;
  }

  /** How much faster it was at best than with one connection; undefined where that is not known. */
  get gain(): number | undefined {
    return this.#most < 2 ? undefined : this.#growth.gain;
  }

  /** One body of each upstream that bytes came from, besides one. Which of them are right, no digest tells. */
  sourcesBesides(upstream: string): readonly OriginBlob[] {
    return [...this.#sources.values()].filter((source) => source.upstream !== upstream);
  }

  /** The first byte from a position on that the front does not have to fetch: it has come, or a segment fetches it. */
  limitFrom(position: number): number {
    const running = this.#running.find(({ segment }) => segment.end > position);
    const claimed = running === undefined ? this.#options.size : Math.max(position, running.segment.position);
    // A segment that has ended leaves its span to the extents in the same turn.
    const come = this.#extents.nextStart(position, LEAST_SKIPPED) ?? this.#options.size;
    return Math.max(position, Math.min(come, claimed));
  }

  /** The first byte from a position on that has not come. */
  coveredTo(position: number): number {
    return this.#extents.coveredTo(position);
  }

  /** The front has reached a position. */
  reached(position: number): void {
    this.#extents.dropBefore(position);
  }

  /**
   * Gives up segments that have no byte yet where the front gets to them with a body that goes on: an upstream that refuses another
   * connection, or is slow to answer on it, would otherwise cost the one that works.
   *
   * @param position that the front gets to next
   * @param end the first byte behind the front's body; undefined: it goes to the end of the blob
   */
  giveWay(position: number, end = this.#options.size): void {
    const late = this.#running.filter(
      ({ segment: { start, reach } }) => reach === start && start <= position && start < end,
    );
    if (late.length === 0) return;
    this.#running = this.#running.filter((each) => !late.includes(each));
    for (const { segment, release } of late) {
      // Nothing of it is written any more, though its answer may be here.
      segment.shorten(segment.start);
      segment.stop();
      if (segment.error !== undefined) this.#learn(segment, segment.error);
      // A connection that has brought nothing all this time makes nothing faster.
      else if (release !== undefined) this.#growth.limit(Math.max(1, Math.floor(this.#growth.wanted / 2)));
    }
  }

  /** Takes over the body of the segment that fetches a byte; undefined where none does, or its body has ended. */
  async takeOver(position: number): Promise<{ readonly blob: OriginBlob; readonly end: number } | undefined> {
    const found = this.#running.find(({ segment }) => segment.position <= position && segment.end > position);
    if (found === undefined) return undefined;
    const blob = await found.segment.handOver();
    return blob === undefined ? undefined : { blob, end: found.segment.end };
  }

  /**
   * Sees to it that a byte comes soon that a client waits for, with those after it.
   *
   * @param end the first byte behind the wanted ones
   * @returns false where it has to be fetched in another way
   */
  bring(position: number, end: number): boolean {
    const written = this.#transfer.written();
    if (position < this.#transfer.reach() || this.coveredTo(position) > position) return true;
    const soon = soonReached(this.#options.policy);
    const limit = this.limitFrom(written);
    if (position < limit && position - written <= soon) return true;
    const found = this.#running.find(({ segment }) => segment.end > position && segment.position <= position);
    if (found !== undefined && position - found.segment.position <= soon) return true;
    if (this.#isClosed || this.#failed || this.#extents.count >= MOST_EXTENTS) return false;
    const last = Math.min(end, found?.segment.end ?? this.limitFrom(position));
    found?.segment.shorten(position);
    const start = found?.segment.end ?? position;
    // Otherwise it is being written.
    if (start < last) this.#start({ start, end: last }, undefined);
    return true;
  }

  /** Gives up what only makes the transfer faster: its connections are wanted elsewhere. */
  makeWay(): void {
    this.#growth.limit(1);
    this.#retire();
  }

  /** Ends all segments, and begins none any more; resolves when none uses the file. */
  async close(): Promise<void> {
    this.#isClosed = true;
    clearInterval(this.#timer);
    for (const { segment } of this.#running) segment.stop();
    await Promise.all(this.#running.map(({ segment }) => segment.ended));
  }

  #step(): void {
    const written = this.#transfer.written();
    const opening = this.#running.filter(({ segment }) => segment.isOpening).length;
    this.#growth.step({ now: performance.now(), received: written + this.bytes, opening });
    this.#fill();
  }

  /** Begins or gives up segments, so that as many connections are in use as are wanted. */
  #fill(): void {
    if (this.#isClosed) return;
    this.#retire();
    const { registry } = this.#transfer;
    const upstream = this.#transfer.upstream();
    // What has come next to the front is hashed in a moment, and what lies behind that is the front's.
    const front = this.coveredTo(this.#transfer.reach());
    const { size, policy, slots } = this.#options;
    for (let left = this.#growth.wanted - 1 - this.#extras.length; left > 0; left -= 1) {
      const claims = this.#running.map(({ segment }) => ({ position: segment.reach, end: segment.end }));
      const taken = merged([...this.#extents, ...this.#running.map(({ segment }) => spanOf(segment))], front);
      const { minSegment } = policy;
      const plan = planSegment({ size, front, taken, claims, connections: this.#growth.wanted, minSegment });
      if (plan === undefined) return;
      const release = slots.take(registry, upstream, policy);
      if (release === undefined) return;
      const victim = this.#running.find(({ segment }) => segment.reach <= plan.start && segment.end > plan.start);
      victim?.segment.shorten(plan.start);
      const start = victim?.segment.end ?? plan.start;
      if (start >= plan.end) return release();
      this.#start({ start, end: plan.end }, release);
    }
  }

  /** Gives up the latest connections where fewer are wanted. */
  #retire(): void {
    const extras = this.#extras;
    const surplus = extras.length + 1 - this.#growth.wanted;
    for (const { segment } of extras.toReversed().slice(0, Math.max(0, surplus))) segment.stop();
  }

  /** What makes the transfer faster, in order. What clients read does not count. */
  get #extras(): readonly Running[] {
    return this.#running.filter(({ release }) => release !== undefined);
  }

  #start({ start, end }: Extent, release: (() => void) | undefined): void {
    const { size } = this.#options;
    const { signal, open, write, moved } = this.#transfer;
    const segment = new Segment(start, end, {
      size,
      signal,
      open,
      write,
      came: ({ source }, piece) => {
        if (source !== undefined) this.#sources.set(source.upstream, source);
        this.#extents.add(piece.start, piece.end);
        moved();
      },
    });
    const running = { segment, release };
    this.#running = [...this.#running, running].sort((one, other) => one.segment.start - other.segment.start);
    this.#most = Math.max(this.#most, this.connections);
    void segment.ended.then((outcome) => this.#ended(running, outcome));
  }

  #ended({ segment, release }: Running, outcome: SegmentOutcome): void {
    release?.();
    this.#running = this.#running.filter((each) => each.segment !== segment);
    const { error } = segment;
    if (outcome === 'failed') {
      if (release === undefined) this.#failed = true;
      if (error instanceof DiskError) this.#transfer.refused(error.cause);
      else this.#learn(segment, error);
    }
    this.#transfer.moved();
    if (outcome === 'done' || outcome === 'handed-over') this.#fill();
  }

  /** Fewer connections from now on, to this upstream, where it refused one. */
  #learn({ upstream }: Segment, error: Error | undefined): void {
    const { registry } = this.#transfer;
    const { slots } = this.#options;
    const kind = isOriginFailure(error) ? error.kind : 'unavailable';
    const name = upstream === '' ? this.#transfer.upstream() : upstream;
    if (kind === 'invalid') slots.sendsNoParts(registry, name);
    else slots.refused(registry, name);
    this.#growth.limit(kind === 'invalid' ? 1 : Math.max(1, Math.floor(this.#growth.wanted / 2)));
    this.#retire();
  }
}

function spanOf({ position, end }: Segment): Extent {
  return { start: position, end };
}

/** Sorted, joined where they touch, without what lies before the front. */
function merged(spans: readonly Extent[], front: number): readonly Extent[] {
  const extents = new Extents();
  for (const { start, end } of spans) extents.add(Math.max(start, front), end);
  return [...extents];
}
