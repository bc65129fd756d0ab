import { isOriginFailure, type OpenBlobOptions, type OriginBlob } from '../../../oci/index.ts';
import { soonReached } from '../policy.ts';
import { type Candidate, dealTo, takeFrom, tooSlow } from './deal.ts';
import type { Deliveries, UpstreamShare } from './deliveries.ts';
import { type Extent, Extents } from './extents.ts';
import { Growth, STEP_MS } from './growth.ts';
import { planSegment } from './plan.ts';
import { DiskError, Segment, type SegmentOutcome } from './segment.ts';
import type { SegmentSlots } from './slots.ts';
import { type SplitOfUpstream, splitAmong } from './split.ts';

/** Spans that a transfer keeps ahead of its front. */
const MOST_EXTENTS = 4096;

/** Bytes of a span that the front skips by another request; what is shorter it fetches again. */
const LEAST_SKIPPED = 32 * 1024;

/** Milliseconds after which a connection without a byte counts as one that is slow. */
const OPENING_MS = 2000;

/** A transfer, as its segments see it. */
export interface SegmentedTransfer {
  readonly registry: string;
  /** Name of the upstream that the front was given in the registry's order. */
  readonly upstream: () => string;
  /** Name of the upstream of which the front reads a body; empty while it has none. */
  readonly reading: () => string;
  /** Names of the upstreams that may be asked now, in their order. Empty: that is not known, and all of them are asked in turn. */
  readonly upstreams: () => readonly string[];
  readonly deliveries: Deliveries;
  /** The first byte that the front lacks. */
  readonly written: () => number;
  /** The first byte that the front can leave to a segment: what it is writing stays with it. */
  readonly reach: () => number;
  /** Ends everything. */
  readonly signal: AbortSignal;
  readonly open: (options: OpenBlobOptions) => Promise<OriginBlob>;
  /** Writes to the growing file. */
  readonly write: (chunk: Buffer, position: number) => Promise<void>;
  /** Called where an upstream brings too little: the front leaves a body of it, where that is not the upstream it began with. */
  readonly leave: (upstream: string) => void;
  /** Called when bytes have come, or a segment has ended. */
  readonly moved: () => void;
  /** Called where the disk refuses bytes. */
  readonly refused: (error: unknown) => void;
}

interface SegmentsOptions {
  /** Bytes of the blob. */
  readonly size: number;
  readonly policyOf: SplitOfUpstream;
  readonly slots: SegmentSlots;
  /** What an earlier transfer has left in the file. @default nothing */
  readonly extents?: Iterable<Extent>;
}

/** A segment that is to begin. */
interface Commission {
  /** The upstream that it is dealt to; empty: it asks all of them in turn. */
  readonly upstream: string;
  /** See {@link Running.release}. */
  readonly release?: () => void;
  /** The body of the front, from which it reads first. */
  readonly body?: OriginBlob;
}

interface Running {
  readonly segment: Segment;
  /** The upstream that it was dealt to; empty: it asks all of them in turn. */
  readonly upstream: string;
  /** Undefined: a client reads what it fetches, so it does not count as one that makes the transfer faster. */
  readonly release: (() => void) | undefined;
  /** When it began, of a clock that only goes forward. */
  readonly since: number;
  /** It has the connection of the front, which hashes what lies before it. */
  readonly isFront: boolean;
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
  /** Whether more connections are tried. */
  #grows = false;
  /** More connections are wanted than before, and not all of them have begun. */
  #isRaised = false;
  /** Upstreams that get no segment of this transfer any more. */
  readonly #dropped = new Set<string>();

  constructor(transfer: SegmentedTransfer, options: SegmentsOptions) {
    this.#transfer = transfer;
    this.#options = options;
    this.#growth = new Growth(splitAmong(this.#upstreams, options.policyOf).connections);
    for (const { start, end } of options.extents ?? []) this.#extents.add(start, end);
  }

  /** Fetches what the front lacks by its body, while the front hashes what lies before that. @param end the first byte behind it */
  advance(body: OriginBlob, end: number): void {
    this.#start({ start: body.offset, end }, { upstream: '', body });
  }

  /** What has come ahead of the front. */
  get extents(): Iterable<Extent> {
    return this.#extents;
  }

  /** Forgets what has come from a position on, up to another. @default `end`: all of it */
  forget(position: number, end?: number): void {
    this.#extents.dropFrom(position, end);
  }

  /** Tries from now on whether more connections make the transfer faster. */
  begin(): void {
    this.#grows = true;
    this.#measure();
  }

  /** Connections in use, the front's among them. */
  get connections(): number {
    return this.#running.filter(({ isFront }) => !isFront).length + 1;
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

  /** What each upstream does for the transfer. */
  get shares(): readonly UpstreamShare[] {
    return this.#transfer.deliveries.shares((upstream) => this.#connectionsTo(upstream));
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
    const isLate = ({ segment: { start, reach } }: Running): boolean =>
      reach === start && start <= position && start < end;
    if (!this.#running.some(isLate)) return;
    const late = this.#running.filter(isLate);
    this.#running = this.#running.filter((each) => !late.includes(each));
    for (const each of late) {
      const { segment, release } = each;
      const upstream = upstreamOf(each);
      // Nothing of it is written any more, though its answer may be here.
      segment.shorten(segment.start);
      segment.stop();
      if (segment.error !== undefined) this.#learn(upstream, segment.error);
      // A connection that has brought nothing all this time makes nothing faster.
      else if (release === undefined) continue;
      else if (upstream === this.#transfer.upstream() || !this.#drop(upstream))
        this.#growth.limit(Math.max(1, Math.floor(this.#growth.wanted / 2)));
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
    const soon = soonReached(splitAmong(this.#upstreams, this.#options.policyOf));
    const limit = this.limitFrom(written);
    if (position < limit && position - written <= soon) return true;
    const found = this.#running.find(({ segment }) => segment.end > position && segment.position <= position);
    if (found !== undefined && position - found.segment.position <= soon) return true;
    if (this.#isClosed || this.#failed || this.#extents.count >= MOST_EXTENTS) return false;
    const last = Math.min(end, found?.segment.end ?? this.limitFrom(position));
    found?.segment.shorten(position);
    const start = found?.segment.end ?? position;
    // Otherwise it is being written.
    if (start < last) this.#start({ start, end: last }, { upstream: '' });
    return true;
  }

  /**
   * The upstream that the front asks for its next bytes, so that no line is idle and none is shared where it need not be; undefined: as the
   * registry orders them.
   *
   * @param home the upstream that the front began with; where it may have no segments, the front stays with it
   */
  nextForFront(home: string): string | undefined {
    const front = this.#transfer.reading();
    const candidates = this.#candidates
      .filter(({ rate }) => rate !== undefined)
      .map((each) => ({ ...each, connections: each.connections - (each.upstream === front ? 1 : 0) }));
    return candidates.some(({ upstream, most }) => upstream === home && most > 0) ? dealTo(candidates) : undefined;
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

  #measure(): void {
    if (this.#timer !== undefined || this.#isClosed) return;
    this.#timer = setInterval(() => this.#step(), STEP_MS).unref();
    this.#step();
  }

  #step(): void {
    const now = performance.now();
    this.#transfer.deliveries.step(now, this.#busy(now));
    for (const upstream of tooSlow(this.#candidates)) this.#leave(upstream);
    if (!this.#grows) return;
    const { wanted } = this.#growth;
    this.#growth.step({ now, received: this.#transfer.written() + this.bytes, opening: this.#opening });
    if (this.#growth.wanted > wanted) this.#isRaised = true;
    this.#fill();
  }

  /** A segment has its first byte. Where all that are tried have it, they are measured from this moment on. */
  #begun(): void {
    if (!this.#isRaised || this.#opening > 0) return;
    this.#isRaised = false;
    const now = performance.now();
    this.#transfer.deliveries.step(now, this.#busy(now));
    this.#growth.step({ now, received: this.#transfer.written() + this.bytes, opening: 0 });
    this.#timer?.refresh();
  }

  /** Segments that wait for their first byte. */
  get #opening(): number {
    return this.#running.filter(({ segment }) => segment.isOpening).length;
  }

  /** Begins or gives up segments, so that as many connections are in use as are wanted. */
  #fill(): void {
    if (this.#isClosed) return;
    this.#retire();
    const { registry } = this.#transfer;
    // What has come next to the front is hashed in a moment, and what lies behind that is the front's.
    const front = this.coveredTo(this.#transfer.reach());
    const { size, policyOf, slots } = this.#options;
    for (let left = this.#growth.wanted - 1 - this.#extras.length; left > 0; left -= 1) {
      const upstream = dealTo(this.#candidates);
      if (upstream === undefined) return;
      const policy = policyOf(upstream);
      const taken = merged([...this.#extents, ...this.#running.map(({ segment }) => spanOf(segment))], front);
      const frontRate = this.#rateOf(this.#transfer.reading()) ?? this.#rateOf(this.#transfer.upstream());
      const plan = planSegment({
        size,
        front,
        taken,
        minSegment: policy.minSegment,
        connections: this.#growth.wanted,
        claims: this.#running.map((each) => ({
          position: each.segment.reach,
          end: each.segment.end,
          rate: this.#rateOf(upstreamOf(each)),
        })),
        frontRate,
        rate: this.#rateOf(upstream) ?? frontRate,
      });
      if (plan === undefined) return;
      const release = slots.take(registry, upstream, policy);
      if (release === undefined) return;
      const victim = this.#running.find(({ segment }) => segment.reach <= plan.start && segment.end > plan.start);
      victim?.segment.shorten(plan.start);
      const start = victim?.segment.end ?? plan.start;
      if (start >= plan.end) return release();
      this.#start({ start, end: plan.end }, { upstream, release });
    }
  }

  /** Gives up connections where fewer are wanted: of the upstreams that bring least, and of each the latest. */
  #retire(): void {
    const extras = this.#extras.filter(({ segment }) => !segment.isStopped);
    for (let surplus = extras.length + 1 - this.#growth.wanted; surplus > 0; surplus -= 1) {
      const left = this.#candidates.map((each) => {
        const stopped = this.#extras.filter((extra) => !extras.includes(extra) && upstreamOf(extra) === each.upstream);
        return { ...each, connections: each.connections - stopped.length };
      });
      const from = takeFrom(left.filter(({ upstream }) => extras.some((each) => upstreamOf(each) === upstream)));
      const last = extras.findLast((each) => from === undefined || upstreamOf(each) === from);
      if (last === undefined) return;
      extras.splice(extras.indexOf(last), 1);
      last.segment.stop();
    }
  }

  /** The upstreams that may be asked for parts, in their order. */
  get #upstreams(): readonly string[] {
    const upstreams = this.#transfer.upstreams();
    return upstreams.length === 0 ? [this.#transfer.upstream()] : [...new Set(upstreams)];
  }

  get #candidates(): readonly Candidate[] {
    const { size, policyOf, slots } = this.#options;
    const { registry, deliveries } = this.#transfer;
    return this.#upstreams
      .filter((upstream) => !this.#dropped.has(upstream))
      .map((upstream) => {
        const policy = policyOf(upstream);
        const connections = this.#connectionsTo(upstream);
        const mayHelp = policy.connections > 1 && size >= 2 * policy.minSegment;
        const most = Math.min(policy.connections, connections + slots.left(registry, upstream, policy));
        return { upstream, connections, most: mayHelp ? most : 0, ...deliveries.rateOf(upstream) };
      });
  }

  #rateOf(upstream: string): number | undefined {
    return this.#transfer.deliveries.rateOf(upstream).rate;
  }

  /** Connections to an upstream, the front's among them. */
  #connectionsTo(upstream: string): number {
    const front = this.#transfer.reading() === upstream ? 1 : 0;
    return this.#running.filter((each) => upstreamOf(each) === upstream).length + front;
  }

  /** Connections to each upstream that should bring something by now. */
  #busy(now: number): ReadonlyMap<string, number> {
    const front = this.#transfer.reading();
    const busy = new Map(front === '' ? [] : [[front, 1]]);
    for (const each of this.#running) {
      if (each.segment.isOpening && now - each.since < OPENING_MS) continue;
      const upstream = upstreamOf(each);
      busy.set(upstream, (busy.get(upstream) ?? 0) + 1);
    }
    return busy;
  }

  /** Takes away from an upstream what it has, where another can have it. */
  #leave(upstream: string): void {
    if (!this.#drop(upstream)) return;
    // What a client reads is then asked of another.
    for (const each of this.#running) if (upstreamOf(each) === upstream) each.segment.stop();
    this.#transfer.leave(upstream);
  }

  /** Whether another upstream can have segments. */
  #hasOther(upstream: string): boolean {
    return this.#candidates.some((each) => each.upstream !== upstream && each.most > 0);
  }

  /** Deals nothing to an upstream any more. @returns false where there is no other */
  #drop(upstream: string): boolean {
    if (!this.#hasOther(upstream)) return false;
    this.#dropped.add(upstream);
    // What it did, or did not, says nothing about how fast the others are.
    this.#growth.again();
    return true;
  }

  /** What makes the transfer faster, in order. What clients read does not count. */
  get #extras(): readonly Running[] {
    return this.#running.filter(({ release }) => release !== undefined);
  }

  #start({ start, end }: Extent, { upstream, release, body }: Commission): void {
    const { size } = this.#options;
    const { signal, open, write, moved, deliveries } = this.#transfer;
    // It may go over short spans that have come, and writes there again: the front must not hash these before.
    this.#extents.dropFrom(start, end);
    // What clients read is asked of one that may have segments, and where that fails, of the others.
    const prefer = this.#candidates.find(({ most }) => most > 0)?.upstream;
    const asked = upstream === '' ? { prefer } : { only: upstream };
    const segment = new Segment(start, end, {
      size,
      signal,
      open: (options) => open({ ...options, ...asked }),
      write,
      isReplaceable: () => upstream !== '' && this.#hasOther(upstream),
      came: ({ source }, piece) => {
        if (source !== undefined) deliveries.came(source, piece.start, piece.end);
        this.#extents.add(piece.start, piece.end);
        if (piece.start === start) this.#begun();
        moved();
      },
      body,
    });
    const running = { segment, release, upstream, since: performance.now(), isFront: body !== undefined };
    this.#running = [...this.#running, running].sort((one, other) => one.segment.start - other.segment.start);
    this.#most = Math.max(this.#most, this.connections);
    void segment.ended.then((outcome) => this.#ended(running, outcome));
    this.#measure();
  }

  #ended(running: Running, outcome: SegmentOutcome): void {
    const { segment, release, isFront } = running;
    release?.();
    this.#running = this.#running.filter((each) => each.segment !== segment);
    const { error } = segment;
    if (outcome === 'failed') {
      if (release === undefined && !isFront) this.#failed = true;
      if (error instanceof DiskError) this.#transfer.refused(error.cause);
      // The front asks again, and decides.
      else if (!isFront) this.#learn(upstreamOf(running), error);
    }
    this.#transfer.moved();
    if (!this.#grows) return;
    // By then the front has the body that was handed over, and counts where it is.
    if (outcome === 'handed-over') setImmediate(() => this.#fill());
    else if (outcome === 'done') this.#fill();
  }

  /** An upstream failed a segment: it gets no more of them, or, where there is no other, fewer. */
  #learn(failed: string, error: Error | undefined): void {
    const { registry } = this.#transfer;
    const { slots, policyOf } = this.#options;
    const kind = isOriginFailure(error) ? error.kind : 'unavailable';
    const asked = isOriginFailure(error) ? error.upstream : this.#transfer.upstream();
    const upstream = failed === '' ? asked : failed;
    const policy = policyOf(upstream);
    if (kind === 'invalid') slots.sendsNoParts(registry, upstream, policy);
    // One that lacks this blob may have others.
    else if (kind !== 'not-found') slots.refused(registry, upstream, policy);
    if (this.#drop(upstream)) return;
    this.#growth.limit(kind === 'invalid' ? 1 : Math.max(1, Math.floor(this.#growth.wanted / 2)));
    this.#retire();
  }
}

/** The upstream that a segment reads from, or is to. */
function upstreamOf({ segment, upstream }: Running): string {
  return segment.upstream === '' ? upstream : segment.upstream;
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
