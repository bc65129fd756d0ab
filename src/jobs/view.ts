import type { Repository } from '../oci/index.ts';

export type ImageState = 'waiting' | 'running' | 'done' | 'failed' | 'cancelled';

/** One image of a job, as an answer shows it. */
export type TaskView<Facts> = Facts & {
  readonly state: ImageState;
  /** Why it failed, or why it waits for another attempt. */
  readonly error?: string;
};

/** An image of a job, while it is worked on and after. */
export interface Entry<Facts> {
  readonly repositories: readonly Repository[];
  view(): TaskView<Facts>;
}

/** Counts of a job, in each state. */
export type StateCounts = Readonly<Record<ImageState, number>>;

/** The images of a job, summed up. `Sum`: the numbers of an image that are added up. */
export type Summary<Facts, Sum extends keyof Facts> = {
  /** The first hundred: of a longer job the failed ones first, then those under way. */
  readonly images: readonly TaskView<Facts>[];
  /** Images that are counted and not listed. */
  readonly omitted: number;
  readonly counts: StateCounts;
} & Readonly<Record<Sum, number>>;

/** A job as one caller sees it. Times are milliseconds since 1970. */
export type JobView<Facts, Sum extends keyof Facts> = Summary<Facts, Sum> & {
  readonly id: string;
  readonly by: string;
  readonly startedAt: number;
  readonly endedAt?: number;
  readonly joined: number;
};

/** Whether a caller may see a repository. */
export type SeesRepository = (repository: Repository) => boolean | Promise<boolean>;

/** Images of one job in an answer. */
export const MAX_LISTED = 100;

/** What is looked at first in a long job. */
const ORDER: readonly ImageState[] = ['failed', 'running', 'waiting', 'cancelled', 'done'];

/** Counts and sums over images, and the first of them. @param how `sums`: the numbers to add up; `room`: images to list, 100 by default */
export function summarize<Facts, Sum extends keyof Facts>(
  images: readonly TaskView<Facts>[],
  { sums, room = MAX_LISTED }: { readonly sums: readonly Sum[]; readonly room?: number | undefined },
): Summary<Facts, Sum> {
  const counts = { waiting: 0, running: 0, done: 0, failed: 0, cancelled: 0 };
  for (const { state } of images) counts[state] += 1;
  const added = sums.map((name) => [name, images.reduce((sum, image) => sum + Number(image[name]), 0)]);
  const isShort = images.length <= room;
  const inOrder = isShort ? images : ORDER.flatMap((state) => images.filter((image) => image.state === state));
  const listed = inOrder.slice(0, room);
  const numbers = Object.fromEntries(added) as Record<Sum, number>;
  return { images: listed, omitted: images.length - listed.length, counts, ...numbers };
}
