import {
  type Job,
  Jobs,
  type JobsOptions,
  type JobView,
  type Task,
  type TaskView,
  type TransferSlots,
} from '../jobs/index.ts';
import { keyOf } from '../lib/index.ts';
import { type Digest, formatReference, type Repository } from '../oci/index.ts';
import { type CopyWanted, copyImage } from './copy-image.ts';
import type { CopyDestination } from './destination.ts';
import { CopyProgress } from './progress.ts';
import type { CopySource } from './source.ts';

/** One place of an image: a repository with a tag or a digest. */
export interface Place {
  /** Completed: `docker.io/library/nginx:1.27`. */
  readonly text: string;
  readonly repository: Repository;
}

/** An image to be copied. */
export interface ImageToCopy extends CopyWanted {
  readonly source: Place;
  readonly destination: Place;
  /** Who wants it, as rules write it. */
  readonly by: string;
}

/** How far one image is. Numbers are bytes, blobs or manifests. */
export interface CopyFacts {
  /** Where it goes. */
  readonly image: string;
  readonly from: string;
  readonly digest?: Digest;
  /** Bytes that the destination has, and all of them, as far as manifests are known. */
  readonly bytes: number;
  readonly size: number;
  readonly sent: number;
  /** Blobs that the destination has: sent, mounted, or there before. */
  readonly blobs: number;
  readonly blobCount: number;
  readonly mounted: number;
  readonly skipped: number;
  /** Manifests that were sent. */
  readonly manifests: number;
}

const SUMS = ['bytes', 'size', 'sent', 'blobs', 'blobCount', 'mounted', 'skipped', 'manifests'] as const;
type Sum = (typeof SUMS)[number];

export type CopyImageView = TaskView<CopyFacts>;
export type CopyJobView = JobView<CopyFacts, Sum>;
export type CopyingJob = Job<CopyFacts, Sum>;

export interface CopyJobsOptions extends Omit<JobsOptions<ImageToCopy, CopyFacts, Sum>, 'sums' | 'taskOf'> {
  /** Called at each attempt. Rejects with an `OciError` where it cannot be copied from. */
  readonly sourceOf: (repository: Repository) => Promise<CopySource>;
  /** Called at each attempt. Rejects with an `OciError` where it takes no push. */
  readonly destinationOf: (repository: Repository, by: string) => Promise<CopyDestination>;
  /** Where blobs wait, so that clients find a connection free. */
  readonly slots: TransferSlots;
}

/** Jobs that copy images. A copy that another job makes already is made once, for both. */
export class CopyJobs extends Jobs<ImageToCopy, CopyFacts, Sum> {
  constructor(options: CopyJobsOptions) {
    super({ ...options, sums: SUMS, taskOf: (image) => new CopyTask(image, options) });
  }
}

class CopyTask implements Task<CopyFacts> {
  readonly key: string;
  readonly #image: ImageToCopy;
  readonly #options: CopyJobsOptions;
  readonly #progress = new CopyProgress();

  constructor(image: ImageToCopy, options: CopyJobsOptions) {
    const { source, destination, from, to, platforms } = image;
    const ends = [source.text, formatReference(from), destination.text, formatReference(to)];
    this.key = keyOf(...ends, [...platforms].toSorted().join(' '));
    this.#image = image;
    this.#options = options;
  }

  get repositories(): readonly Repository[] {
    return [this.#image.source.repository, this.#image.destination.repository];
  }

  async run(signal: AbortSignal): Promise<void> {
    const { sourceOf, destinationOf, slots } = this.#options;
    const source = await sourceOf(this.#image.source.repository);
    const destination = await destinationOf(this.#image.destination.repository, this.#image.by);
    await copyImage(this.#image, this.#progress, { source, destination, slots, signal });
  }

  facts(): CopyFacts {
    const { digest, bytes, size, sent, blobs, blobCount, mounted, skipped, manifests } = this.#progress;
    const { source, destination } = this.#image;
    const known = digest === undefined ? {} : { digest };
    const counts = { blobs, blobCount, mounted, skipped, manifests };
    // A manifest of Docker's schema 1 gives no sizes.
    return {
      image: destination.text,
      from: source.text,
      ...known,
      bytes,
      size: Math.max(size, bytes),
      sent,
      ...counts,
    };
  }

  mark(): number {
    const { bytes, sent, blobs, manifests } = this.#progress;
    return bytes + sent + blobs + manifests;
  }
}
