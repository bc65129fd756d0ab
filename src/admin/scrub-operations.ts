import * as z from 'zod';
import type { ScrubProgress as OneProgress, Scrub } from '../cache/index.ts';
import { type HostedContext, ownersOf } from './hosted.ts';
import type { Operation } from './operation.ts';

const none = z.object({});
const texts = z.array(z.string()).readonly();

export const unknownFiles = z
  .object({
    count: z.number(),
    names: texts.describe('The first few, below the cache directory.'),
  })
  .optional()
  .describe('Files of other programs in the cache directory, which are never deleted. Older servers leave it out.');
export type UnknownFiles = z.infer<typeof unknownFiles>;

const scrubProgress = z.object({
  state: z.enum(['running', 'done', 'stopped', 'failed']),
  startedAt: z.number(),
  finishedAt: z.number().optional(),
  blobs: z.number().describe('Blobs checked so far, and their bytes.'),
  bytes: z.number(),
  totalBlobs: z.number().describe('Blobs in all, as counted at the start, and their bytes.'),
  totalBytes: z.number(),
  rotten: z.number().describe('Corrupt blobs, now in quarantine.'),
  missing: z.number().describe('Blobs with a record and no file.'),
  adopted: z.number().describe('Correct blobs without a record.'),
  hosted: z
    .object({ blobs: z.number(), rotten: z.number(), missing: z.number() })
    .optional()
    .describe('The part of the numbers above that is hosted here, which no upstream has. Older servers leave it out.'),
  problems: z
    .array(
      z.object({
        digest: z.string(),
        reason: z.string(),
        detail: z.string(),
        repositories: texts
          .optional()
          .describe('The first few hosted repositories that miss it; absent for mirrored ones.'),
      }),
    )
    .readonly()
    .describe('The first hundred corrupt or missing blobs.'),
  unknown: unknownFiles,
  error: z.string().optional(),
});
export type ScrubProgress = z.infer<typeof scrubProgress>;

const scrubInput = z.object({ stop: z.boolean().default(false) });
const scrubAnswer = scrubProgress.nullable();
type ScrubContext = { readonly cache: { readonly scrub: Pick<Scrub, 'progress' | 'run' | 'stop'> } } & HostedContext;

/** Starts a scrub, joins the running one, or stops it. Null where none has run since the start. */
const scrub: Operation<z.infer<typeof scrubInput>, ScrubProgress | null, ScrubContext> = {
  name: 'scrub',
  summary: 'Hash every stored blob again, or stop that',
  action: 'admin',
  changes: true,
  input: scrubInput,
  answer: scrubAnswer,
  async handle({ stop }, { cache, hosted }) {
    const scrubs = [cache.scrub, ...(hosted.current === undefined ? [] : [hosted.current.scrub])];
    if (stop) await Promise.all(scrubs.map((each) => each.stop()));
    // They run to their end, whether or not a command watches.
    else for (const each of scrubs) void each.run();
    return progressOf({ cache, hosted });
  },
};

const scrubLook: Operation<object, ScrubProgress | null, ScrubContext> = {
  name: 'scrub',
  summary: 'How far the scrub is, or how the last one ended',
  action: 'admin',
  changes: false,
  input: none,
  answer: scrubAnswer,
  handle: (_, context) => progressOf(context),
};

/** The operations on the scrub of a running server. */
export const SCRUB_OPERATIONS = { scrub, scrubLook };

/** The scrubs of the cache and of hosted content as one. Null where none has run since the start. */
async function progressOf({ cache, hosted }: ScrubContext): Promise<ScrubProgress | null> {
  const own = cache.scrub.progress;
  const ofHosted = hosted.current?.scrub.progress;
  if (own === undefined) return null;
  if (ofHosted === undefined) return { ...own };
  const problems = await Promise.all(
    ofHosted.problems.map(async (each) => ({ ...each, repositories: await ownersOf(each.digest, hosted) })),
  );
  return { ...sumOf(own, ofHosted), problems: [...problems, ...own.problems] };
}

const SUMMED = ['blobs', 'bytes', 'totalBlobs', 'totalBytes', 'rotten', 'missing', 'adopted'] as const;

function sumOf(own: OneProgress, ofHosted: OneProgress): Omit<ScrubProgress, 'problems'> {
  const { problems: _, ...rest } = own;
  const sums = Object.fromEntries(SUMMED.map((key) => [key, own[key] + ofHosted[key]]));
  const error = own.error ?? ofHosted.error;
  const { blobs, rotten, missing } = ofHosted;
  return {
    ...rest,
    ...sums,
    state: stateOf([own.state, ofHosted.state]),
    startedAt: Math.min(own.startedAt, ofHosted.startedAt),
    ...(own.finishedAt !== undefined &&
      ofHosted.finishedAt !== undefined && { finishedAt: Math.max(own.finishedAt, ofHosted.finishedAt) }),
    ...(error !== undefined && { error }),
    hosted: { blobs, rotten, missing },
  };
}

/** It runs while one of them does, and is done when both are. */
function stateOf(states: readonly OneProgress['state'][]): OneProgress['state'] {
  for (const state of ['running', 'failed', 'stopped'] as const) if (states.includes(state)) return state;
  return 'done';
}
