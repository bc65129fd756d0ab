import * as z from 'zod';
import { copyJob } from './copy-operations.ts';
import { bytes, time } from './page.ts';
import { pullSummary } from './pull-operations.ts';
import { transferStatus, upstreamStatus } from './status.ts';
import { warmJob } from './warm-operations.ts';

/**
 * What `GET /api/v1/events` sends: the `event` of each message, and its `data` as JSON. A message about a repository goes only
 * to a client that may pull from it.
 */
export const LIVE_EVENTS = {
  pull: pullSummary.describe(
    'A pull began, made progress (once a second at most) or ended: `running` says whether it still runs.',
  ),
  transfer: transferStatus
    .extend({ bytesPerSecond: z.number().exactOptional() })
    .describe('A transfer from an upstream began or made progress (once a second at most).'),
  'transfer.ended': z
    .object({
      id: z.string(),
      registry: z.string(),
      repository: z.string(),
      outcome: z.enum(['committed', 'streamed', 'aborted', 'failed']),
      bytes,
      reason: z.string().exactOptional(),
    })
    .describe('A transfer ended.'),
  rates: z
    .object({ at: time, requests: z.number(), hits: z.number(), bytes, fetched: bytes })
    .describe('Every five seconds: what the server did in them, a second.'),
  tag: z
    .object({
      registry: z.string(),
      repository: z.string(),
      tag: z.string(),
      change: z.enum(['moved', 'held', 'unheld', 'deleted']),
      digest: z.string().exactOptional(),
    })
    .describe('A tag was pushed, moved, held, unheld or deleted.'),
  health: upstreamStatus
    .pick({ registry: true, upstream: true, state: true, scope: true, reason: true })
    .describe('The health of an upstream changed.'),
  evicted: z.object({ blobs: z.number(), freed: bytes, left: bytes }).describe('Content was evicted.'),
  cache: z
    .object({ paused: z.boolean(), reason: z.string().exactOptional() })
    .describe('Caching was paused or resumed.'),
  reloaded: z
    .object({
      outcome: z.enum(['changed', 'unchanged', 'refused']),
      problems: z.array(z.string()).readonly(),
    })
    .describe('The configuration was reloaded.'),
  warm: warmJob.describe('Images are fetched into the cache: once a second at most for a job.'),
  copy: copyJob.describe('Images are copied: once a second at most for a job.'),
  gap: z.object({}).describe('Events were missed, and cannot be sent again. Read again what they are about.'),
} as const satisfies Readonly<Record<string, z.ZodType>>;

export type LiveEvent = {
  [Kind in keyof typeof LIVE_EVENTS]: { kind: Kind; data: z.infer<(typeof LIVE_EVENTS)[Kind]> };
}[keyof typeof LIVE_EVENTS];
