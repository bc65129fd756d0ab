import assert from 'node:assert/strict';
import type { ImageToWarm } from '../../src/warm/fetch-image.ts';
import type { Job } from '../../src/warm/job.ts';
import { WarmJobs, type WarmJobsOptions } from '../../src/warm/jobs.ts';
import type { ImageView, JobView } from '../../src/warm/view.ts';
import { type CacheWorld, cacheWorld, LIBRARY, type Scope } from './cache-world.ts';
import type { FakeOrigin } from './fake-origin.ts';
import { buildImage, type Content, platformOf, type TestImage } from './image.ts';

export const APP = buildImage({ seed: 'warm', layers: [3000, 200] });
export const AMD64 = platformOf(APP, 'amd64');
export const LAYER = AMD64.layers[0] as Content;
export const everything = () => true;

/** Jobs over a cache whose upstream has an image. */
export interface Stage extends CacheWorld {
  readonly jobs: WarmJobs;
  /** The job once it has ended. */
  readonly ended: (job: Job) => Promise<JobView>;
}

/** Without retries, unless a test says otherwise. */
export async function stage(t: Scope, options: Partial<WarmJobsOptions> = {}): Promise<Stage> {
  // As in the server, the jobs end before the cache closes.
  t.after(() => jobs.close());
  const world = await cacheWorld(t);
  put(world.origin, APP, 'latest');
  const jobs = new WarmJobs({
    cache: world.cache,
    originFor: () => world.origin.source,
    transfersFrom: () => 12,
    retryAfter: () => undefined,
    hearEvery: 1,
    ...options,
  });
  return { ...world, jobs, ended: (job) => endOf(jobs, job) };
}

/** Puts an image into the upstream. */
export function put(origin: FakeOrigin, image: TestImage, ...tags: readonly string[]): void {
  for (const manifest of image.manifests) origin.addManifest(LIBRARY, manifest);
  origin.addManifest(LIBRARY, image.index, ...tags);
  origin.addBlobs(LIBRARY, ...image.blobs);
}

export function named(tag = 'latest', more: Partial<ImageToWarm> = {}): ImageToWarm {
  return {
    text: `docker.io/library/app:${tag}`,
    repository: LIBRARY,
    reference: { kind: 'tag', tag },
    platforms: [],
    needsEach: false,
    ...more,
  };
}

export async function endOf(jobs: WarmJobs, job: Job): Promise<JobView> {
  await new Promise<void>((resolve) => {
    const look = (): void => {
      if (job.endedAt !== undefined) resolve();
    };
    const stop = jobs.onChange(look);
    void job
      .view(everything)
      .then(look)
      .finally(() => job.endedAt !== undefined && stop());
  });
  return (await job.view(everything)) as JobView;
}

export const only = ({ images }: JobView): ImageView => {
  assert.equal(images.length, 1);
  return images[0] as ImageView;
};
export const sizeOf = (contents: readonly Content[]): number => contents.reduce((sum, { size }) => sum + size, 0);
export const ALL_BYTES = sizeOf([...APP.manifests, ...APP.blobs]);
