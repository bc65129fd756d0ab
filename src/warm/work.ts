import type { Repository } from '../oci/index.ts';
import { redactText } from '../telemetry/index.ts';
import type { ImageToWarm } from './fetch-image.ts';
import type { Job } from './job.ts';
import { Progress } from './progress.ts';
import type { Entry, ImageState, ImageView } from './view.ts';

/** Characters of a message. */
const MAX_MESSAGE = 500;

/** One image that is fetched for one job or more. */
export class Work implements Entry {
  /** Equal for works that do the same. */
  readonly key: string;
  readonly image: ImageToWarm;
  readonly progress = new Progress();
  readonly abort = new AbortController();
  /** The jobs that want it, the first one first. */
  readonly jobs = new Set<Job>();
  state: ImageState = 'waiting';
  failures = 0;
  /** Set while it waits for another attempt. */
  timer: NodeJS.Timeout | undefined;
  /** Why the last attempt failed. */
  message: string | undefined;

  constructor(key: string, image: ImageToWarm) {
    this.key = key;
    this.image = image;
  }

  get repository(): Repository {
    return this.image.repository;
  }

  view(): ImageView {
    const { image, state, message } = this;
    const { digest, bytes, size, fetched, blobs, blobCount } = this.progress;
    const known = { ...(digest !== undefined && { digest }), ...(message !== undefined && { error: message }) };
    // A manifest of Docker's schema 1 gives no sizes.
    return { image: image.text, state, ...known, bytes, size: Math.max(size, bytes), fetched, blobs, blobCount };
  }

  failed(error: unknown): void {
    this.failures += 1;
    this.message = redactText(error instanceof Error ? error.message : String(error)).slice(0, MAX_MESSAGE);
  }
}
