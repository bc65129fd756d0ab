/** What the disk under a cache has, in bytes. */
export interface DiskSpace {
  /** What this user may still write. */
  readonly free: number;
  readonly total: number;
}

/** The least that is to stay free: bytes, or a share of the whole from 0 to 1. */
export type MinFree = number | { readonly share: number };

const GIBIBYTE = 2 ** 30;

/**
 * The floor in bytes. Where none is given it is 1 GiB, but never more than a fiftieth of the disk, so that a small one, or
 * one that others have nearly filled, does not stop the cache from working.
 */
export function floorOf(minFree: MinFree | undefined, total: number): number {
  if (minFree === undefined) return Math.floor(Math.min(GIBIBYTE, total * 0.02));
  return typeof minFree === 'number' ? minFree : Math.floor(total * minFree.share);
}

/** Share of a limit that a sweep leaves free beyond it, so that the next blob does not start another. */
const HEADROOM = 0.05;

/** Bytes ahead of a transfer that room is made for. What it claims to become later is made room for as it comes true. */
export const LOOK_AHEAD = 256 * 1024 * 1024;

/** What a transfer will add. */
export interface Arrival {
  readonly written: number;
  /** Undefined where nobody knows. */
  readonly size: number | undefined;
  /** False: it only passes through. */
  readonly keep: boolean;
}

/** What is to be weighed before room is made; bytes. */
export interface Usage {
  /** In the cache. */
  readonly stored: number;
  readonly arrivals: readonly Arrival[];
  /** What the cache may hold; undefined: no limit. */
  readonly maxSize: number | undefined;
  /** Undefined where nothing is known of the disk. */
  readonly disk: { readonly free: number; readonly floor: number } | undefined;
  /** True where the headroom is wanted too, and not only the limit kept: after it was full. */
  readonly eager?: boolean;
}

/**
 * Bytes that have to go so that everything that is here, and will be in a moment, keeps within the limits; 0 where it does.
 */
export function bytesToFree({ stored, arrivals, maxSize, disk, eager = false }: Usage): number {
  let coming = 0;
  let stillToWrite = 0;
  for (const { written, size, keep } of arrivals) {
    // Where nobody knows the size, or the upstream has not answered yet: as much again as has come.
    const soon = Math.min(size ?? 2 * written, written + LOOK_AHEAD);
    if (keep) coming += soon;
    stillToWrite += soon - written;
  }
  const overLimit = maxSize === undefined ? 0 : excess(stored + coming, { most: maxSize, of: maxSize, eager });
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
