import * as z from 'zod';
import { type JobList, jobOperations } from './job-operations.ts';
import type { Caller, Operation } from './operation.ts';
import { bytes, image, platforms, time } from './page.ts';

/** Images of one call. */
const MAX_IMAGES = 1000;

const warmInput = z.object({
  images: z
    .array(image)
    .min(1, 'expected at least one image')
    .max(MAX_IMAGES, `expected at most ${MAX_IMAGES} images`)
    .readonly(),
  platforms,
  partial: z
    .boolean()
    .default(false)
    .describe('True: what names no image that can be fetched is in `refused`, and the others are fetched.'),
});
export type WarmInput = z.infer<typeof warmInput>;

const warmImage = z.object({
  image: z.string().describe('Completed.'),
  state: z.enum(['waiting', 'running', 'done', 'failed', 'cancelled']),
  digest: z.string().exactOptional(),
  bytes: bytes.describe('Bytes of it that are stored here.'),
  size: bytes.describe('Bytes in all, as far as its manifests are known.'),
  fetched: bytes.describe('Bytes that were fetched for it.'),
  blobs: z.number().describe('Blobs that are stored.'),
  blobCount: z.number(),
  error: z.string().exactOptional().describe('Why it failed, or why it waits for another attempt.'),
});
export type WarmImage = z.infer<typeof warmImage>;

export const warmJob = z.object({
  id: z.string(),
  by: z.string().describe('Who started it; empty for others than that user and those who may `admin`.'),
  startedAt: time,
  endedAt: time.exactOptional(),
  joined: z.number().describe('Later calls that wanted an image of it and joined its work.'),
  images: z
    .array(warmImage)
    .readonly()
    .describe('In the order of the call; of a long job the first hundred: failed ones first, then those under way.'),
  omitted: z.number().describe('Images that are counted and not listed.'),
  counts: z
    .object({
      waiting: z.number(),
      running: z.number(),
      done: z.number(),
      failed: z.number(),
      cancelled: z.number(),
    })
    .describe('Images in each state.'),
  bytes: bytes.describe('Bytes of its images that are stored here.'),
  size: bytes.describe('Bytes in all, as far as manifests are known.'),
  fetched: bytes.describe('Bytes that were fetched for it.'),
});
/** Images that are being fetched into the cache, or were. */
export type WarmJob = z.infer<typeof warmJob>;

const refusedImage = z.object({
  image: z.string().describe('As it was given.'),
  error: z.string(),
  hosted: z.literal(true).exactOptional().describe('It is hosted here, so there is nothing to fetch.'),
});
const warmStarted = warmJob.extend({
  refused: z.array(refusedImage).readonly().exactOptional().describe('With `partial` alone.'),
});
/** A job that has begun, and what was left out of it. */
export type WarmStarted = z.infer<typeof warmStarted>;
export type RefusedImage = z.infer<typeof refusedImage>;

export interface WarmContext {
  readonly warm: JobList<WarmJob> & {
    /** Rejects with an `OciError` where a text (with `partial`: each of them) names no image or a hosted one, where the cache is off, and where too many jobs run. Resolves once it has begun. */
    start(input: WarmInput, caller: Caller): Promise<WarmStarted>;
  };
}

const start: Operation<WarmInput, WarmStarted, WarmContext> = {
  name: 'warm',
  summary: 'Fetch images into the cache',
  action: 'admin',
  changes: true,
  input: warmInput,
  answer: warmStarted,
  handle: (input, context, caller) => context.warm.start(input, caller),
};

const { list, cancel } = jobOperations<WarmJob, WarmContext>({
  name: 'warm',
  job: warmJob,
  summaries: ['The images that are being fetched into the cache', 'Stop fetching images into the cache'],
  jobsOf: (context) => context.warm,
});

export const WARM_OPERATIONS = { warm: start, warmJobs: list, warmCancel: cancel };
