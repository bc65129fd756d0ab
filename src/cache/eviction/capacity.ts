import type { Digest, Repository } from '../../oci/index.ts';
import {
  type BlobStore,
  isFullDisk,
  type MetadataStore,
  type ReadBlobRecord,
  type UnknownFiles,
} from '../../store/index.ts';
import { formatBytes, type Telemetry } from '../../telemetry/index.ts';
import type { Capacity } from '../capacity.ts';
import { isCurrent } from '../time-span.ts';
import {
  type Arrival,
  bytesToFree,
  countedOverhead,
  type DiskSpace,
  floorOf,
  MAX_WAITING_TO_PUBLISH,
  type MinFree,
  type Usage,
} from './policy.ts';
import { rowBudget, trimRows } from './rows.ts';
import { type Swept, sweep } from './sweep.ts';

/** A transfer, as far as it fills the disk. */
interface InFlightTransfer extends Omit<Arrival, 'written'> {
  /** Bytes that have come, wherever they lie in the file. */
  readonly received: number;
  readonly digest: Digest | undefined;
  readonly repository: Repository;
  /** True once it is whole and right: it waits to be published, or is delivered to its end. */
  readonly verified: boolean;
  /** Delivers it without keeping it. */
  stopCaching(): void;
}

/** How much of the disk the cache may use. */
export interface CapacityLimits {
  /** Bytes of blobs, manifests and the metadata database; undefined: no limit. */
  readonly maxSize?: number | undefined;
  /** How much of the disk stays free. @default 1 GiB or 2 %, whichever is less */
  readonly minFree?: MinFree | undefined;
}

interface CapacityOptions {
  readonly store: BlobStore;
  readonly metadata: MetadataStore;
  readonly telemetry: Telemetry;
  /** Called at each use, as the limits may change. */
  readonly limits: () => CapacityLimits;
  /** Measures the disk; undefined: `minFree` has no effect. */
  readonly disk?: (() => Promise<DiskSpace>) | undefined;
  readonly transfers: () => Iterable<InFlightTransfer>;
  /** The digests that fresh and pinned tags lead to. */
  readonly retained: () => Promise<ReadonlySet<Digest>>;
  readonly isInUse: (digest: Digest) => boolean;
  /** Called for each blob that was evicted. */
  readonly onEvict?: (digest: Digest) => void;
  /** Called after rows of tags, members or URLs were deleted. */
  readonly onTrim?: () => void;
  /** What has come of blobs whose transfers ended early: it counts, and goes before any whole blob. @default nothing */
  readonly partials?: EvictablePartials | undefined;
  /** Called before blobs are chosen: writes the pending read times. */
  readonly prepare: () => Promise<void>;
  readonly now?: (() => number) | undefined;
}

/** Partial content, as far as it fills the disk. */
export interface EvictablePartials {
  totals(): Promise<{ readonly count: number; readonly bytes: number }>;
  /** Removes what is too old or too much by its own bounds. */
  trim(): Promise<unknown>;
  /** Frees so many bytes, where it has as many. */
  evict(
    wanted: number,
    options: { readonly dryRun: boolean },
  ): Promise<{ readonly freed: number; readonly count: number }>;
}

/** Why nothing is kept for now. */
export interface Pause {
  readonly reason: string;
  /** Milliseconds since the epoch. */
  readonly since: number;
  /** When the next attempt is made; undefined: as soon as there is room. */
  readonly until: number | undefined;
}

export interface CollectOptions {
  /** True: nothing is evicted. @default false */
  readonly dryRun?: boolean;
  /** Bytes that may stay. @default the configured limits */
  readonly maxSize?: number | undefined;
}

/** What a collection evicted, or would evict. */
export interface Collected extends Swept {
  readonly dryRun: boolean;
  /** Bytes in the cache before. */
  readonly stored: number;
  /** Bytes to free. More than `freed` where the rest is in use, pinned or of fresh tags. */
  readonly wanted: number;
  /** The evicted blobs, least recently used first, at most {@link MAX_LISTED}. */
  readonly evicted: readonly ReadBlobRecord[];
  /** Files of other programs in the cache directory. */
  readonly unknown: UnknownFiles;
}

/** Milliseconds in which nothing is kept after the disk refused a write. */
const PAUSE_MS = 30_000;

/** Milliseconds between two attempts of a full cache to make room: each reads every tag. */
const RETRY_MS = 10_000;

/** Milliseconds between two checks while transfers run. */
const WATCH_MS = 1000;

/** Share of the cache that is evicted when the disk is full although the cache is within every limit. */
const FORCED_SHARE = 0.05;

/** Bytes that are evicted where a change of rows has no room: some hundred pages of the database. */
const ROOM_FOR_ROWS = 1 << 20;

/** How much the rows grow before they are trimmed again where a trim has left more than their budget. */
const TRIM_AGAIN = 1.1;

const MAX_LISTED = 10_000;

/** Blobs that are remembered as larger than the limit. */
const MAX_OVERSIZED = 1000;

/**
 * Keeps the cache within its limits: makes room as transfers grow, and says when nothing may be kept, because everything
 * stored is retained or the disk refuses more. Pulls go on in any case: it decides only what stays on disk.
 */
export class CacheCapacity implements Capacity {
  readonly #options: CapacityOptions;
  readonly #now: () => number;
  readonly #watch: NodeJS.Timeout;
  #work: Promise<unknown> = Promise.resolve();
  #isLookPlanned = false;
  /** Everything stored is retained. */
  #full: Pause | undefined;
  #triedAt = 0;
  /** Bytes of rows above which they are trimmed again: a trim reads all of them. */
  #trimAbove = 0;
  #trimmedAt = 0;
  readonly #oversized = new Set<string>();
  /** The disk refuses writes. */
  #refused: (Pause & { readonly timer: NodeJS.Timeout }) | undefined;
  #mustForce = false;

  constructor(options: CapacityOptions) {
    this.#options = options;
    this.#now = options.now ?? Date.now;
    this.#watch = setInterval(() => {
      const [first] = options.transfers();
      if (first !== undefined || this.#full !== undefined) this.look();
    }, WATCH_MS);
    this.#watch.unref();
  }

  /** Why nothing is kept now; undefined while content is kept. */
  get pause(): Pause | undefined {
    const pause = this.#refused ?? this.#full;
    return pause === undefined ? undefined : { reason: pause.reason, since: pause.since, until: pause.until };
  }

  mayKeep(size?: number): boolean {
    const { maxSize } = this.#options.limits();
    return this.pause === undefined && (size === undefined || maxSize === undefined || size <= maxSize);
  }

  mayPublish(): boolean {
    let waiting = 0;
    for (const { keep, verified } of this.#options.transfers()) if (keep && verified) waiting += 1;
    return waiting <= MAX_WAITING_TO_PUBLISH;
  }

  async decided(): Promise<void> {
    await this.#work;
  }

  /** Pauses the caching for a while, and makes room. */
  refused(error: unknown): void {
    const message = error instanceof Error ? error.message : String(error);
    // Without the file: every client that may `status` is told.
    const found = message.replace(/ '.*$/s, '');
    const reason = isOutOfDescriptors(error)
      ? `no file descriptor is left (${found}): raise the limit of open files (ulimit -n, LimitNOFILE=)`
      : `the disk refused to take more: ${found}`;
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
    this.#mustForce = isFullDisk(error);
    this.look(true);
  }

  /**
   * Makes room where that is needed, soon and once, however often it is called.
   *
   * @param force try even where the last attempt was a moment ago: something has changed since
   */
  look(force = false): void {
    // At once: a fast transfer is over before the queue comes to it.
    this.#stopOversized();
    const { limits, disk } = this.#options;
    if (this.#isLookPlanned || (limits().maxSize === undefined && disk === undefined && !force)) return;
    this.#isLookPlanned = true;
    this.#enqueue(() => {
      this.#isLookPlanned = false;
      return this.#makeRoom(force);
    }).catch((error: unknown) => {
      this.#options.telemetry.publish('warning', { message: 'Cannot make room in the cache', error });
    });
  }

  get #hasJustTried(): boolean {
    return this.#isRecent(this.#triedAt);
  }

  #isRecent(at: number): boolean {
    return isCurrent({ since: at, until: at + RETRY_MS }, this.#now());
  }

  /** Evicts what exceeds the limits now, because an operator says so. */
  collect({ dryRun = false, maxSize }: CollectOptions = {}): Promise<Collected> {
    return this.#enqueue(async () => {
      if (!dryRun) await this.#trimRows();
      const usage = await this.#measure();
      const { stored, overhead = 0 } = usage;
      const wanted =
        maxSize === undefined
          ? bytesToFree({ ...usage, eager: true })
          : Math.min(stored, Math.max(0, stored + countedOverhead(overhead, maxSize) - maxSize));
      const evicted: ReadBlobRecord[] = [];
      const swept = await this.#sweep(wanted, {
        dryRun,
        onEvict: (blob) => void (evicted.length < MAX_LISTED && evicted.push(blob)),
      });
      if (!dryRun) this.#publishSwept(swept, stored);
      const unknown = await this.#options.store.unknownFiles();
      return { ...swept, dryRun, stored, wanted, evicted, unknown };
    });
  }

  /** Evicts a little although no limit is exceeded: the disk has no room for a change of rows. */
  makeRoomForRows(): Promise<void> {
    return this.#enqueue(async () => {
      const { stored } = await this.#measure();
      this.#publishSwept(await this.#sweep(ROOM_FOR_ROWS), stored);
    });
  }

  /** Resolves when nothing more is being removed. */
  async close(): Promise<void> {
    clearInterval(this.#watch);
    clearTimeout(this.#refused?.timer);
    await this.#work.catch(() => {});
  }

  /** Runs works one after the other, so that each sees what the one before has left. */
  #enqueue<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#work.then(work);
    this.#work = done.catch(() => {});
    return done;
  }

  async #makeRoom(force: boolean): Promise<void> {
    await this.#trimRows();
    await this.#options.partials?.trim();
    if (this.#full !== undefined && !force && this.#hasJustTried) return;
    const usage = await this.#measure();
    const wanted = Math.max(bytesToFree(usage), this.#mustForce ? Math.ceil(usage.stored * FORCED_SHARE) : 0);
    this.#mustForce = false;
    if (wanted === 0) return this.#endFull();
    const swept = await this.#sweep(wanted);
    this.#publishSwept(swept, usage.stored);
    if (swept.freed >= wanted) return this.#endFull();
    this.#triedAt = this.#now();
    const { stored, disk } = usage;
    const left: Usage = {
      ...usage,
      stored: stored - swept.freed,
      disk: disk && { ...disk, free: disk.free + swept.freed },
      eager: false,
    };
    if (bytesToFree(left) === 0) return;
    this.#beginFull(left);
    // The latest transfers are not kept, so that the earliest still can be.
    for (const transfer of [...this.#options.transfers()].toReversed()) {
      if (bytesToFree({ ...left, arrivals: this.#arrivals() }) === 0) return;
      transfer.stopCaching();
    }
  }

  /** As {@link #trimRowsNow}; on a disk without room for it nothing is trimmed, and evicted files make room for the next time. */
  async #trimRows(): Promise<void> {
    await unlessFull(() => this.#trimRowsNow());
  }

  /** Keeps the rows within their budget, and gives the space of deleted ones back. */
  async #trimRowsNow(): Promise<void> {
    const { metadata, limits, disk, retained, onTrim } = this.#options;
    const budget = rowBudget(limits().maxSize ?? (await disk?.())?.total);
    await metadata.limitRows(budget.most);
    const { rowBytes } = await metadata.footprint();
    const isStuck = rowBytes >= budget.most && !this.#isRecent(this.#trimmedAt);
    if (isStuck || rowBytes > Math.max(budget.evicted, this.#trimAbove)) {
      const deleted = await trimRows({ metadata, budget, retained, now: this.#now() });
      this.#trimAbove = (await metadata.footprint()).rowBytes * TRIM_AGAIN;
      this.#trimmedAt = this.#now();
      if (deleted > 0) onTrim?.();
    }
    await metadata.giveBack();
  }

  async #measure(): Promise<Usage> {
    const { metadata, limits, disk, partials } = this.#options;
    const { maxSize, minFree } = limits();
    const { bytes } = await metadata.totals();
    const partial = await partials?.totals();
    const { overhead } = await metadata.footprint();
    const space = await disk?.();
    return {
      stored: bytes + (partial?.bytes ?? 0),
      overhead,
      arrivals: this.#arrivals(),
      maxSize,
      disk: space === undefined ? undefined : { free: space.free, floor: floorOf(minFree, space.total) },
      eager: this.#full !== undefined,
    };
  }

  #arrivals(): readonly Arrival[] {
    this.#stopOversized();
    const arrivals = [...this.#options.transfers()];
    return arrivals.map(({ received, size, keep }) => ({ written: received, size, keep }));
  }

  /** A blob larger than the limit is not kept: everything else would be evicted, and it would still not fit. */
  #stopOversized(): void {
    const { maxSize } = this.#options.limits();
    if (maxSize === undefined) return;
    for (const each of this.#options.transfers()) {
      const size = Math.max(each.size ?? 0, each.received);
      if (size <= maxSize) continue;
      if (each.keep) each.stopCaching();
      this.#noteOversized(each, { size, maxSize });
    }
  }

  /** Says once of each blob, by its digest or its URL, that it is never kept. */
  #noteOversized(
    { digest, repository: { registry, repository } }: InFlightTransfer,
    { size, maxSize }: { readonly size: number; readonly maxSize: number },
  ): void {
    const name = digest ?? `${registry}/${repository}`;
    if (this.#oversized.has(name)) return;
    if (this.#oversized.size >= MAX_OVERSIZED) this.#oversized.clear();
    this.#oversized.add(name);
    const event = { digest, repository: `${registry}/${repository}`, size, maxSize };
    this.#options.telemetry.publish('blob.oversized', event);
  }

  async #sweep(
    wanted: number,
    how: { dryRun?: boolean; onEvict?: (blob: ReadBlobRecord) => void } = {},
  ): Promise<Swept> {
    const { store, metadata, isInUse, prepare, onEvict, partials } = this.#options;
    if (wanted === 0) return { freed: 0, blobs: 0 };
    const { freed = 0, count = 0 } = (await partials?.evict(wanted, { dryRun: how.dryRun === true })) ?? {};
    const first = count === 0 ? {} : { partials: count };
    if (freed >= wanted) return { freed, blobs: 0, ...first };
    await prepare();
    const retained = await this.#options.retained();
    const swept = await sweep({
      store,
      metadata,
      wanted: wanted - freed,
      isRetained: (digest) => retained.has(digest) || isInUse(digest),
      ...how,
      onEvict(blob) {
        how.onEvict?.(blob);
        if (how.dryRun !== true) onEvict?.(blob.digest);
      },
    });
    if (how.dryRun !== true) await unlessFull(() => metadata.giveBack());
    return { blobs: swept.blobs, freed: freed + swept.freed, ...first };
  }

  #publishSwept({ freed, blobs, partials }: Swept, stored: number): void {
    if (blobs === 0 && partials === undefined) return;
    const event = { freed, left: stored - freed, blobs, ...(partials !== undefined && { partials }) };
    this.#options.telemetry.publish('cache.swept', event);
  }

  #beginFull({ stored, overhead = 0, maxSize, disk }: Usage): void {
    if (this.#full !== undefined) return;
    const sizes =
      maxSize !== undefined && (disk === undefined || disk.free > disk.floor)
        ? `the cache holds ${formatBytes(stored + countedOverhead(overhead, maxSize))} of ${formatBytes(maxSize)}`
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
}

/** Does what takes room on the disk, where there is room. */
async function unlessFull(work: () => Promise<unknown>): Promise<void> {
  try {
    await work();
  } catch (error) {
    if (!isFullDisk(error)) throw error;
  }
}

/** EMFILE: of this process. ENFILE: of the system. */
function isOutOfDescriptors(error: unknown): boolean {
  return error instanceof Error && 'code' in error && (error.code === 'EMFILE' || error.code === 'ENFILE');
}
