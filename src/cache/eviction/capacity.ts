import type { Digest } from '../../oci/index.ts';
import type { BlobStore, MetadataStore, ReadBlobRecord } from '../../store/index.ts';
import { formatBytes, type Telemetry } from '../../telemetry/index.ts';
import { type Arrival, bytesToFree, type DiskSpace, floorOf, type MinFree, type Usage } from './policy.ts';
import { type Swept, sweep } from './sweep.ts';

/** A transfer, as far as it takes room. */
export interface InFlightTransfer extends Arrival {
  /** Lets it be delivered and not kept. */
  stopCaching(): void;
}

/** What the cache may take of the disk. */
export interface RoomLimits {
  /** Bytes of blobs and manifests; undefined: no limit. */
  readonly maxSize?: number | undefined;
  /** What is to stay free of the disk. @default 1 GiB or 2 %, whichever is less */
  readonly minFree?: MinFree | undefined;
  /** Looks at the disk; undefined: `minFree` has no effect. */
  readonly disk?: (() => Promise<DiskSpace>) | undefined;
}

export interface RoomOptions extends RoomLimits {
  readonly store: BlobStore;
  readonly metadata: MetadataStore;
  readonly telemetry: Telemetry;
  readonly transfers: () => Iterable<InFlightTransfer>;
  /** What fresh and pinned tags lead to. */
  readonly retained: () => Promise<ReadonlySet<Digest>>;
  readonly isInUse: (digest: Digest) => boolean;
  /** Told of each blob that is gone. */
  readonly onEvict?: (digest: Digest) => void;
  /** Called before anything is chosen: brings the index up to what was read last. */
  readonly prepare: () => Promise<void>;
  readonly now?: () => number;
}

/** Why nothing is kept for now. */
export interface Pause {
  readonly reason: string;
  /** Milliseconds since the epoch. */
  readonly since: number;
  /** When it is tried again; undefined: as soon as there is room. */
  readonly until: number | undefined;
}

export interface CollectOptions {
  /** True: nothing goes. @default false */
  readonly dryRun?: boolean;
  /** Bytes to come down to. @default the limits as they are configured */
  readonly maxSize?: number | undefined;
}

/** What a collection took, or would take. */
export interface Collected extends Swept {
  readonly dryRun: boolean;
  /** Bytes in the cache before. */
  readonly stored: number;
  /** Bytes that had to go. More than `freed` where the rest is in use, pinned or of fresh tags. */
  readonly wanted: number;
  /** What went, read longest ago first; the first {@link MAX_LISTED}. */
  readonly evicted: readonly ReadBlobRecord[];
}

/** How long nothing is kept after the disk refused something. */
const PAUSE_MS = 30_000;

/** How often a full cache looks whether there is room again: each look reads what is pinned and fresh. */
const RETRY_MS = 10_000;

/** How often room is made for what has come of running transfers since. */
const WATCH_MS = 1000;

/** Share of the cache that goes when the disk is full although it keeps within every limit. */
const FORCED_SHARE = 0.05;

const MAX_LISTED = 10_000;

/**
 * Sees to it that the cache keeps within its limits: makes room as transfers grow, and says when nothing may be kept, as
 * everything here is needed or the disk takes no more. Whatever it finds, pulls go on; it only decides what stays.
 */
export class CacheCapacity {
  readonly #options: RoomOptions;
  readonly #now: () => number;
  readonly #watch: NodeJS.Timeout;
  #work: Promise<unknown> = Promise.resolve();
  #isLookPlanned = false;
  /** Everything here is needed. */
  #full: Pause | undefined;
  #triedAt = 0;
  /** The disk refuses to take more. */
  #refused: (Pause & { readonly timer: NodeJS.Timeout }) | undefined;
  #mustForce = false;

  constructor(options: RoomOptions) {
    this.#options = options;
    this.#now = options.now ?? Date.now;
    this.#watch = setInterval(() => {
      const [first] = options.transfers();
      if (first !== undefined || this.#full !== undefined) this.look();
    }, WATCH_MS);
    this.#watch.unref();
  }

  /** Why nothing is kept now; undefined while it is. */
  get pause(): Pause | undefined {
    const pause = this.#refused ?? this.#full;
    return pause === undefined ? undefined : { reason: pause.reason, since: pause.since, until: pause.until };
  }

  /** Whether what is about to be fetched may be kept. @param size bytes, where they are known */
  mayKeep(size?: number): boolean {
    const { maxSize } = this.#options;
    return this.pause === undefined && (size === undefined || maxSize === undefined || size <= maxSize);
  }

  /** Resolves when the transfers that run have been weighed. */
  async decided(): Promise<void> {
    await this.#work;
  }

  /** Tells that the disk refused to take something: nothing is kept for a while, and room is made. */
  refused(error: unknown): void {
    const reason = `the disk refused to take more: ${error instanceof Error ? error.message : String(error)}`;
    const since = this.#refused?.since ?? this.#now();
    const isNew = this.#refused === undefined;
    clearTimeout(this.#refused?.timer);
    const timer = setTimeout(() => {
      this.#refused = undefined;
      if (this.#full === undefined) this.#options.telemetry.publish('cache.resumed', {});
    }, PAUSE_MS);
    timer.unref();
    const until = this.#now() + PAUSE_MS;
    this.#refused = { reason, since, until, timer };
    if (!isNew) return;
    this.#options.telemetry.publish('cache.paused', { reason, until });
    this.#mustForce = isFull(error);
    this.look(true);
  }

  /**
   * Makes room where that is needed, soon and once, however often it is called.
   *
   * @param force also where it was tried a moment ago: something has changed since
   */
  look(force = false): void {
    const { maxSize, disk } = this.#options;
    if (this.#isLookPlanned || (maxSize === undefined && disk === undefined && !force)) return;
    if (this.#full !== undefined && !force && this.#hasJustTried) return;
    this.#isLookPlanned = true;
    this.#enqueue(() => {
      this.#isLookPlanned = false;
      return this.#makeRoom();
    }).catch((error: unknown) => this.#warn(error));
  }

  /** A clock that was set back ends it. */
  get #hasJustTried(): boolean {
    const age = this.#now() - this.#triedAt;
    return age >= 0 && age < RETRY_MS;
  }

  /** Takes what is too much now, on somebody's word. */
  collect({ dryRun = false, maxSize }: CollectOptions = {}): Promise<Collected> {
    return this.#enqueue(async () => {
      const weighing = await this.#weigh();
      const { stored } = weighing;
      const wanted = maxSize === undefined ? bytesToFree({ ...weighing, eager: true }) : Math.max(0, stored - maxSize);
      const evicted: ReadBlobRecord[] = [];
      const swept = await this.#sweep(wanted, {
        dryRun,
        onEvict: (blob) => void (evicted.length < MAX_LISTED && evicted.push(blob)),
      });
      if (!dryRun) this.#tell(swept, stored);
      return { ...swept, dryRun, stored, wanted, evicted };
    });
  }

  /** Resolves when nothing more is being removed. */
  async close(): Promise<void> {
    clearInterval(this.#watch);
    clearTimeout(this.#refused?.timer);
    await this.#work.catch(() => {});
  }

  /** One after the other, each with what the one before has left. */
  #enqueue<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#work.then(work);
    this.#work = done.catch(() => {});
    return done;
  }

  async #makeRoom(): Promise<void> {
    const weighing = await this.#weigh();
    const wanted = Math.max(bytesToFree(weighing), this.#mustForce ? Math.ceil(weighing.stored * FORCED_SHARE) : 0);
    this.#mustForce = false;
    if (wanted === 0) return this.#endFull();
    const swept = await this.#sweep(wanted);
    this.#tell(swept, weighing.stored);
    if (swept.freed >= wanted) return this.#endFull();
    this.#triedAt = this.#now();
    const { stored, disk } = weighing;
    const left: Usage = {
      ...weighing,
      stored: stored - swept.freed,
      disk: disk && { ...disk, free: disk.free + swept.freed },
      eager: false,
    };
    if (bytesToFree(left) === 0) return;
    this.#beginFull(left);
    // What came last goes without: who came first may still be kept.
    for (const transfer of [...this.#options.transfers()].toReversed()) {
      if (bytesToFree({ ...left, arrivals: this.#arrivals() }) === 0) return;
      transfer.stopCaching();
    }
  }

  async #weigh(): Promise<Usage> {
    const { metadata, maxSize, minFree, disk } = this.#options;
    const { bytes } = await metadata.totals();
    const space = await disk?.();
    return {
      stored: bytes,
      arrivals: this.#arrivals(),
      maxSize,
      disk: space === undefined ? undefined : { free: space.free, floor: floorOf(minFree, space.total) },
      eager: this.#full !== undefined,
    };
  }

  #arrivals(): readonly Arrival[] {
    const { maxSize = Number.POSITIVE_INFINITY } = this.#options;
    const arrivals = [...this.#options.transfers()];
    // Not for this one's sake: everything else would go, and then it would not fit.
    for (const each of arrivals) if (each.keep && Math.max(each.size ?? 0, each.written) > maxSize) each.stopCaching();
    return arrivals.map(({ written, size, keep }) => ({ written, size, keep }));
  }

  async #sweep(
    wanted: number,
    how: { dryRun?: boolean; onEvict?: (blob: ReadBlobRecord) => void } = {},
  ): Promise<Swept> {
    const { store, metadata, isInUse, prepare, onEvict } = this.#options;
    if (wanted === 0) return { freed: 0, blobs: 0 };
    await prepare();
    const retained = await this.#options.retained();
    const isSpared = (digest: Digest): boolean => retained.has(digest) || isInUse(digest);
    return sweep({
      store,
      metadata,
      wanted,
      isSpared,
      ...how,
      onEvict(blob) {
        how.onEvict?.(blob);
        if (how.dryRun !== true) onEvict?.(blob.digest);
      },
    });
  }

  #tell({ freed, blobs }: Swept, stored: number): void {
    if (blobs > 0) this.#options.telemetry.publish('cache.swept', { freed, left: stored - freed, blobs });
  }

  #beginFull({ stored, maxSize, disk }: Usage): void {
    if (this.#full !== undefined) return;
    const sizes =
      maxSize !== undefined && (disk === undefined || disk.free > disk.floor)
        ? `the cache holds ${formatBytes(stored)} of ${formatBytes(maxSize)}`
        : `the disk has ${formatBytes(disk?.free ?? 0)} free and ${formatBytes(disk?.floor ?? 0)} are to stay free`;
    const reason = `${sizes}, and what is left in the cache is in use, pinned or of fresh tags`;
    this.#full = { reason, since: this.#now(), until: undefined };
    this.#options.telemetry.publish('cache.paused', { reason });
  }

  #endFull(): void {
    if (this.#full === undefined) return;
    this.#full = undefined;
    if (this.#refused === undefined) this.#options.telemetry.publish('cache.resumed', {});
  }

  #warn(error: unknown): void {
    this.#options.telemetry.publish('warning', { message: 'Cannot make room in the cache', error });
  }
}

/** ENOSPC and EDQUOT of the system, SQLITE_FULL (13) of the names database. */
function isFull(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  if ('errcode' in error && typeof error.errcode === 'number') return (error.errcode & 0xff) === 13;
  return 'code' in error && (error.code === 'ENOSPC' || error.code === 'EDQUOT');
}
