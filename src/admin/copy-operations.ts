import * as z from 'zod';
import { type JobList, jobOperations } from './job-operations.ts';
import type { Caller, Operation } from './operation.ts';
import { bytes, image, platforms, time } from './page.ts';

const copyInput = z.object({
  from: image.describe('An image; with `allTags` a repository.'),
  to: image.describe(
    'An image or a repository, hosted here or of a registry with `push`. Without a tag it gets that of `from`.',
  ),
  platforms: platforms.describe('`linux/amd64`; empty: all.'),
  allTags: z.boolean().default(false).describe('True: every tag of the repository is copied.'),
});
export type CopyInput = z.infer<typeof copyInput>;

const blobs = z.number().describe('Blobs that the destination has: sent, mounted, or there before.');
const sent = bytes.describe('Bytes that were sent.');
const mounted = z.number().describe('Blobs that were mounted from another repository, or linked from the cache.');
const skipped = z.number().describe('Blobs that were there before.');
const manifests = z.number().describe('Manifests that were sent.');

const copyImage = z.object({
  image: z.string().describe('Where it goes, completed.'),
  from: z.string().describe('Completed.'),
  state: z.enum(['waiting', 'running', 'done', 'failed', 'cancelled']),
  digest: z.string().exactOptional(),
  bytes: bytes.describe('Bytes of it that the destination has.'),
  size: bytes.describe('Bytes in all, as far as its manifests are known.'),
  sent,
  blobs,
  blobCount: z.number(),
  mounted,
  skipped,
  manifests,
  error: z.string().exactOptional().describe('Why it failed, or why it waits for another attempt.'),
});
export type CopyImage = z.infer<typeof copyImage>;

export const copyJob = z.object({
  id: z.string(),
  by: z.string().describe('Who started it.'),
  startedAt: time,
  endedAt: time.exactOptional(),
  joined: z.number().describe('Later calls that wanted an image of it and joined its work.'),
  images: z
    .array(copyImage)
    .readonly()
    .describe('Of a long job the first hundred: failed ones first, then those under way.'),
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
  bytes: bytes.describe('Bytes of its images that the destination has.'),
  size: bytes.describe('Bytes in all, as far as manifests are known.'),
  sent,
  blobs,
  blobCount: z.number(),
  mounted,
  skipped,
  manifests,
});
/** Images that are being copied, or were. */
export type CopyJob = z.infer<typeof copyJob>;

export interface CopyContext {
  readonly copy: JobList<CopyJob> & {
    /**
     * Rejects with an `OciError` where a text names no image, the destination takes no push, the caller may not see one of the two or not
     * push to the destination, or too many jobs run; with the failure of an upstream where it does not list its tags. Resolves once it has begun.
     */
    start(input: CopyInput, caller: Caller): Promise<CopyJob>;
  };
}

const start: Operation<CopyInput, CopyJob, CopyContext> = {
  name: 'copy',
  summary: 'Copy an image, or every tag of a repository, to another repository',
  action: 'admin',
  changes: true,
  input: copyInput,
  answer: copyJob,
  handle: (input, context, caller) => context.copy.start(input, caller),
};

const { list, cancel } = jobOperations<CopyJob, CopyContext>({
  name: 'copy',
  job: copyJob,
  summaries: ['The images that are being copied', 'Stop copying images'],
  jobsOf: (context) => context.copy,
});

export const COPY_OPERATIONS = { copy: start, copyJobs: list, copyCancel: cancel };
