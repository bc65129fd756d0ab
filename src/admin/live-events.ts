import * as z from 'zod';
import { bytes, time } from './page.ts';
import { pullSummary } from './pull-operations.ts';
import { transferStatus, upstreamStatus } from './status.ts';
import { warmJob } from './warm-operations.ts';

/**
 * What `GET /api/v1/events` sends: the `event` of each message, and its `data` as JSON. A message about a repository goes only
 * to a client that may pull from it.
 */
export const LIVE_EVENTS = {
  /** A pull began, made progress (once a second at most) or ended: `running` says whether it still runs. */
  pull: pullSummary,
  /** A transfer from an upstream began or made progress (once a second at most). */
  transfer: transferStatus.extend({ bytesPerSecond: z.number().exactOptional() }),
  /** A transfer ended. */
  'transfer.ended': z.object({
    id: z.string(),
    registry: z.string(),
    repository: z.string(),
    outcome: z.enum(['committed', 'streamed', 'aborted', 'failed']),
    bytes,
    reason: z.string().exactOptional(),
  }),
  /** Every five seconds: what the server did in them, a second. */
  rates: z.object({ at: time, requests: z.number(), hits: z.number(), bytes, fetched: bytes }),
  /** A tag was pushed, moved, held, unheld or deleted. */
  tag: z.object({
    registry: z.string(),
    repository: z.string(),
    tag: z.string(),
    change: z.enum(['moved', 'held', 'unheld', 'deleted']),
    digest: z.string().exactOptional(),
  }),
  /** The health of an upstream changed. */
  health: upstreamStatus.pick({ registry: true, upstream: true, state: true, scope: true, reason: true }),
  /** Content was evicted. */
  evicted: z.object({ blobs: z.number(), freed: bytes, left: bytes }),
  /** Caching was paused or resumed. */
  cache: z.object({ paused: z.boolean(), reason: z.string().exactOptional() }),
  /** The configuration was reloaded. */
  reloaded: z.object({
    outcome: z.enum(['changed', 'unchanged', 'refused']),
    problems: z.array(z.string()).readonly(),
  }),
  /** Images are fetched into the cache: once a second at most for a job. */
  warm: warmJob,
  /** Events were missed, and cannot be sent again: what they would have said is to be read anew. */
  gap: z.object({}),
} as const satisfies Readonly<Record<string, z.ZodType>>;

export type LiveEvent = {
  [Kind in keyof typeof LIVE_EVENTS]: { kind: Kind; data: z.infer<(typeof LIVE_EVENTS)[Kind]> };
}[keyof typeof LIVE_EVENTS];
