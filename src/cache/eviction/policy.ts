/** The space of the disk under a cache, in bytes. */
export interface DiskSpace {
  /** Free for this user. */
  readonly free: number;
  readonly total: number;
}

/** The least that stays free: bytes, or a share of the whole from 0 to 1. */
export type MinFree = number | { readonly share: number };

const GIBIBYTE = 2 ** 30;

/**
 * The floor in bytes. The default is 1 GiB, but at most a fiftieth of the disk, so that the cache works on a small disk, or
 * on one that is nearly full of other data.
 */
export function floorOf(minFree: MinFree | undefined, total: number): number {
  if (minFree === undefined) return Math.floor(Math.min(GIBIBYTE, total * 0.02));
  return typeof minFree === 'number' ? minFree : Math.floor(total * minFree.share);
}

/** Share of a limit that a sweep leaves free beyond it, so that the next blob does not start another. */
const HEADROOM = 0.05;

/** Bytes ahead of a transfer that room is made for. Room for the rest of its size is made as it grows. */
export const LOOK_AHEAD = 256 * 1024 * 1024;

/**
 * Blobs that may wait to be published. Small ones come faster than a disk flushes, and each holds a descriptor meanwhile, of
 * perhaps 256. Beyond that they were delivered and are not kept.
 */
export const MAX_WAITING_TO_PUBLISH = 128;

/** What a transfer adds to the cache. */
export interface Arrival {
  readonly written: number;
  /** Undefined where it is not known. */
  readonly size: number | undefined;
  /** False: it only passes through. */
  readonly keep: boolean;
}

/** The use of the cache and its disk; bytes. */
export interface Usage {
  /** Of blobs in the cache. */
  readonly stored: number;
  /** What the disk holds for them besides, of which {@link countedOverhead} counts. @default 0 */
  readonly overhead?: number;
  readonly arrivals: readonly Arrival[];
  /** What the cache may hold; undefined: no limit. */
  readonly maxSize: number | undefined;
  /** Undefined where the disk is not measured. */
  readonly disk: { readonly free: number; readonly floor: number } | undefined;
  /** True where the headroom is wanted too, and not only the limit: after the cache was full. */
  readonly eager?: boolean;
}

/** Bytes of the database that every cache has, however small: its log alone may have half of that. */
const FREE_OVERHEAD = 8 * 1024 ** 2;

/** Share of the limit that an overhead takes at most: blobs have the rest, so that a cache with a tiny limit works too. */
const MOST_OVERHEAD = 0.5;

/** The part of an overhead that counts towards `max_size`. */
export function countedOverhead(overhead: number, maxSize: number): number {
  return Math.min(Math.max(0, overhead - FREE_OVERHEAD), maxSize * MOST_OVERHEAD);
}

/**
 * Bytes to free so that the stored blobs and the running transfers keep within the limits; 0 where they do.
 */
export function bytesToFree({ stored, overhead = 0, arrivals, maxSize, disk, eager = false }: Usage): number {
  let coming = 0;
  let stillToWrite = 0;
  for (const { written, size, keep } of arrivals) {
    // Where the size is not known yet: as much again as has arrived.
    const soon = Math.min(size ?? 2 * written, written + LOOK_AHEAD);
    if (keep) coming += soon;
    stillToWrite += soon - written;
  }
  const overLimit =
    maxSize === undefined
      ? 0
      : excess(stored + countedOverhead(overhead, maxSize) + coming, { most: maxSize, of: maxSize, eager });
  const underFloor =
    disk === undefined ? 0 : excess(disk.floor + stillToWrite, { most: disk.free, of: disk.floor, eager });
  return Math.ceil(Math.max(overLimit, underFloor));
}

function excess(
  amount: number,
  { most, of, eager }: { readonly most: number; readonly of: number; readonly eager: boolean },
): number {
  const spare = of * HEADROOM;
  return amount > (eager ? most - spare : most) ? amount - most + spare : 0;
}
