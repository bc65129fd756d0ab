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
import { type Digest, formatReference, type OriginSource, type Repository } from '../oci/index.ts';
import type { WarmCache } from './fetch-blob.ts';
import { fetchImage, type ImageToWarm } from './fetch-image.ts';
import { Progress } from './progress.ts';

/** How far one image is. Numbers are bytes, or blobs. */
export interface WarmFacts {
  readonly image: string;
  readonly digest?: Digest;
  /** Bytes that are stored here, or on their way. */
  readonly bytes: number;
  /** Bytes in all, as far as manifests are known. */
  readonly size: number;
  /** Bytes of the transfers that were started for it. */
  readonly fetched: number;
  readonly blobs: number;
  readonly blobCount: number;
}

const SUMS = ['bytes', 'size', 'fetched'] as const;
type Sum = (typeof SUMS)[number];

export type WarmImageView = TaskView<WarmFacts>;
export type WarmJobView = JobView<WarmFacts, Sum>;
export type WarmingJob = Job<WarmFacts, Sum>;

export interface WarmJobsOptions extends Omit<JobsOptions<ImageToWarm, WarmFacts, Sum>, 'sums' | 'taskOf'> {
  readonly cache: WarmCache;
  /** The upstreams of a registry now; throws where there is no such registry. Called at each attempt. */
  readonly originFor: (registry: string) => OriginSource;
  /** Where transfers wait, so that clients find a connection free. */
  readonly slots: TransferSlots;
}

/** Jobs that fetch images into the cache. An image that another job is fetching already is fetched once, for both. */
export class WarmJobs extends Jobs<ImageToWarm, WarmFacts, Sum> {
  constructor(options: WarmJobsOptions) {
    super({ ...options, sums: SUMS, taskOf: (image) => new WarmTask(image, options) });
  }
}

class WarmTask implements Task<WarmFacts> {
  readonly key: string;
  readonly #image: ImageToWarm;
  readonly #options: WarmJobsOptions;
  readonly #progress = new Progress();

  constructor(image: ImageToWarm, options: WarmJobsOptions) {
    const { text, reference, platforms, needsEach } = image;
    this.key = keyOf(text, formatReference(reference), [...platforms].toSorted().join(' '), String(needsEach));
    this.#image = image;
    this.#options = options;
  }

  get repositories(): readonly Repository[] {
    return [this.#image.repository];
  }

  run(signal: AbortSignal): Promise<void> {
    const { cache, originFor, slots } = this.#options;
    const origin = originFor(this.#image.repository.registry);
    return fetchImage(this.#image, this.#progress, { cache, origin, signal, slots });
  }

  facts(): WarmFacts {
    const { digest, bytes, size, fetched, blobs, blobCount } = this.#progress;
    const known = digest === undefined ? {} : { digest };
    // A manifest of Docker's schema 1 gives no sizes.
    return { image: this.#image.text, ...known, bytes, size: Math.max(size, bytes), fetched, blobs, blobCount };
  }

  mark(): number {
    return this.#progress.bytes;
  }
}
