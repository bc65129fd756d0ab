import type { Repository } from '../oci/index.ts';

export type ImageState = 'waiting' | 'running' | 'done' | 'failed' | 'cancelled';

/** One image of a job, as an answer shows it. Numbers are bytes, or blobs. */
export interface ImageView {
  readonly image: string;
  readonly state: ImageState;
  readonly digest?: string;
  /** Bytes that are stored here, or on their way. */
  readonly bytes: number;
  /** Bytes in all, as far as manifests are known. */
  readonly size: number;
  /** Bytes of the transfers that were started for it. */
  readonly fetched: number;
  readonly blobs: number;
  readonly blobCount: number;
  /** Why it failed, or why it waits for another attempt. */
  readonly error?: string;
}

/** An image of a job, while it is fetched and after. */
export interface Entry {
  readonly repository: Repository;
  view(): ImageView;
}

/** A job as one caller sees it. Times are milliseconds since 1970. */
export interface JobView {
  readonly id: string;
  readonly by: string;
  readonly startedAt: number;
  readonly endedAt?: number;
  readonly joined: number;
  /** The first hundred: of a longer job the failed ones first, then those under way. */
  readonly images: readonly ImageView[];
  /** Images that are counted and not listed. */
  readonly omitted: number;
  readonly counts: Readonly<Record<ImageState, number>>;
  readonly bytes: number;
  readonly size: number;
  readonly fetched: number;
}

/** Whether a caller may see a repository. */
export type SeesRepository = (repository: Repository) => boolean | Promise<boolean>;

/** Images of one job in an answer. */
export const MAX_LISTED = 100;

/** What is looked at first in a long job. */
const ORDER: readonly ImageState[] = ['failed', 'running', 'waiting', 'cancelled', 'done'];

/** Counts and sums over images, and the first of them. @param room images to list @default 100 */
export function summarize(
  images: readonly ImageView[],
  room = MAX_LISTED,
): Pick<JobView, 'images' | 'omitted' | 'counts' | 'bytes' | 'size' | 'fetched'> {
  const counts = { waiting: 0, running: 0, done: 0, failed: 0, cancelled: 0 };
  let bytes = 0;
  let size = 0;
  let fetched = 0;
  for (const image of images) {
    counts[image.state] += 1;
    bytes += image.bytes;
    size += image.size;
    fetched += image.fetched;
  }
  const isShort = images.length <= room;
  const inOrder = isShort ? images : ORDER.flatMap((state) => images.filter((image) => image.state === state));
  const listed = inOrder.slice(0, room);
  return { images: listed, omitted: images.length - listed.length, counts, bytes, size, fetched };
}
