import * as z from 'zod';
import type { Caller, Operation } from './operation.ts';
import { bytes, time } from './page.ts';
import { figureSums, pullSummary } from './pull-operations.ts';
import { transferStatus, upstreamStatus } from './status.ts';

const overviewAnswer = z.object({
  version: z.string(),
  now: time.describe('The clock of the server. Milliseconds since 1970.'),
  startedAt: time,
  day: figureSums.describe('The last 24 hours.'),
  month: figureSums.describe('The last 30 days.'),
  rates: z
    .array(
      z.object({
        at: time,
        requests: z.number().describe('Requests a second.'),
        hits: z.number().describe('Of these, answered without an upstream.'),
        bytes: bytes.describe('Bytes a second to clients.'),
        fetched: bytes.describe('Bytes a second from upstreams.'),
      }),
    )
    .readonly()
    .describe('The last five minutes in steps of five seconds, the oldest first.'),
  pulls: z.array(pullSummary).readonly().describe('Under way, the newest first; at most 200.'),
  pullCount: z.number().describe('How many the caller may see.'),
  transfers: z
    .array(
      transferStatus.extend({
        bytesPerSecond: z.number().exactOptional(),
      }),
    )
    .readonly()
    .describe('From upstreams, the newest first; at most 200.'),
  transferCount: z.number(),
  upstreams: z.array(upstreamStatus).readonly().describe('Those that are unwell, or that report pulls left.'),
  cache: z.union([
    z.literal('off'),
    z.object({
      blobs: z.number(),
      bytes: bytes.describe('Bytes of mirrored and hosted content.'),
      maxSize: z.number().exactOptional(),
      paused: z.string().exactOptional().describe('Why pulled content is not kept now.'),
      disk: z
        .object({ free: bytes, total: bytes })
        .exactOptional()
        .describe('The file system of the cache directory, where it can be measured.'),
    }),
  ]),
  requests: z.object({ inflight: z.number(), waiting: z.number(), maxInflight: z.number().exactOptional() }),
  warnings: z.number().describe('Warnings about the configuration; `configuration` has them.'),
});
export type Overview = z.infer<typeof overviewAnswer>;

export interface OverviewContext {
  readonly overview: (caller: Caller) => Promise<Overview>;
}

/** The answer names repositories as the caller may see them, and no directories. */
export const overview: Operation<object, Overview, OverviewContext> = {
  name: 'overview',
  summary: 'What the server does now, and what it did in the last 24 hours and 30 days',
  action: 'status',
  changes: false,
  input: z.object({}),
  answer: overviewAnswer,
  handle: (_, context, caller) => context.overview(caller),
};
