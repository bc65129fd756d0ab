import * as z from 'zod';
import type { Caller, Operation } from './operation.ts';
import { bytes, next, pageInput, search, time } from './page.ts';

/** How a pull ended, the worst first: what an operator looks for. */
export const PULL_OUTCOMES = ['failed', 'refused', 'stale', 'miss', 'hit'] as const;

const outcome = z
  .enum(PULL_OUTCOMES)
  .describe(
    '`failed`: a request of it was answered 5xx or cut, or all of them 4xx, as for what does not exist. `refused`: rules refused it. `stale`: an upstream was down, and the cache answered. `miss`: an upstream sent content. `hit`: everything came from this server.',
  );

const milliseconds = z.number().describe('Milliseconds.');

const askedUpstream = z.object({
  upstream: z.string(),
  purpose: z.string().describe('`api`, `blob`, `token` or `redirect`.'),
  method: z.string(),
  url: z.string().describe('Without its query.'),
  status: z.number().describe('0 where no response came.'),
  afterMs: z.number().describe('Milliseconds from the start of the request of the client to the end of this one.'),
  durationMs: milliseconds,
  error: z.string().exactOptional(),
});

const pullRequest = z.object({
  id: z.string().describe('The `X-Request-Id` of the response.'),
  at: time,
  method: z.string(),
  kind: z.enum(['manifest', 'blob']),
  reference: z.string().describe('A tag or a digest.'),
  status: z.number().describe('0 where the connection was lost before a response, or the request still runs.'),
  running: z.literal(true).exactOptional(),
  cache: z.string().exactOptional().describe('The `X-Cache` of the response: `HIT`, `MISS`, …'),
  reason: z.string().exactOptional().describe('Why the cache chose that.'),
  upstream: z.string().exactOptional(),
  bytes: bytes.describe('Bytes sent to the client.'),
  size: z.number().exactOptional().describe('Bytes of the whole response body, where they are known.'),
  slotMs: milliseconds.exactOptional().describe('Milliseconds until a slot of `limits.max_inflight` was free.'),
  gateMs: milliseconds.exactOptional().describe('Milliseconds from there until the gate was passed.'),
  firstByteMs: milliseconds.exactOptional().describe('Milliseconds from there until the response began.'),
  totalMs: milliseconds,
  error: z.string().exactOptional(),
  asked: z.array(askedUpstream).readonly().describe('The first few requests to upstreams that it caused.'),
});
export type PullRequest = z.infer<typeof pullRequest>;

export const pullSummary = z.object({
  id: z.string().describe('The id of its first request.'),
  at: time.describe('When it began. Milliseconds since 1970.'),
  running: z.literal(true).exactOptional().describe('A request of it runs.'),
  registry: z.string(),
  repository: z.string(),
  reference: z.string().describe('The tag or digest that the client named first.'),
  client: z
    .string()
    .describe(
      'The address of the client; empty for a Unix socket, and for others than its user and those who may `admin`.',
    ),
  user: z.string().exactOptional().describe('Absent for others than the user itself and those who may `admin`.'),
  userAgent: z.string().exactOptional(),
  namedBy: z.string().exactOptional().describe('What named the registry: `ns`, `host`, `prefix`, `path` or `default`.'),
  outcome,
  requests: z.number(),
  hits: z.number().describe('Of these, requests that this server answered without an upstream.'),
  bytes: bytes.describe('Bytes of content sent to the client: the bodies of errors do not count.'),
  size: z.number().exactOptional().describe('Bytes of the responses that are known, for a progress bar.'),
  fetched: bytes.describe('Bytes that upstreams sent because of it.'),
  durationMs: milliseconds.describe('Milliseconds from the start of its first request to the end of its last.'),
});
/** One pull: the requests of one client for one tag or digest and what belongs to it, with no long pause between them. */
export type PullSummary = z.infer<typeof pullSummary>;

const pullDetail = pullSummary.extend({
  rule: z.string().exactOptional().describe('The rule that allowed it, as `access.rules[0]`.'),
  verdict: z.string().exactOptional().describe('What the rules said: `allowed`, `denied` or `would-deny`.'),
  requestList: z.array(pullRequest).readonly().describe('In the order of their start.'),
  omitted: z.number().describe('Requests that are counted and not listed.'),
});
export type PullDetail = z.infer<typeof pullDetail>;

const pullsInput = z.object({
  ...pageInput,
  image: search.describe('Part of the image name.'),
  client: search.describe('Part of the address, the user or the user agent.'),
  outcome: outcome.optional(),
  running: z.boolean().optional().describe('True: those under way alone.'),
});
export type PullsInput = z.infer<typeof pullsInput>;

const off = z
  .literal(true)
  .exactOptional()
  .describe('`admin.record_pulls` is false: nothing is recorded, and what was recorded before is deleted.');

const omittedPulls = z.object({
  pulls: z.number(),
  from: time.describe('When the first of them was left out. Milliseconds since 1970.'),
  to: time.describe('When the last of them was left out. Milliseconds since 1970.'),
});

const pullsAnswer = z.object({
  pulls: z.array(pullSummary).readonly().describe('The newest first.'),
  next,
  since: time.describe(
    'When the record of pulls begins. Milliseconds since 1970. A process that is killed loses what it has not written: the pulls that are open, and those of the last seconds.',
  ),
  off,
  omitted: omittedPulls
    .exactOptional()
    .describe(
      'Pulls since the start of the server that the figures count and this list lacks: more than 1,000 ended within two seconds, or the disk refused them.',
    ),
});
export type PullsAnswer = z.infer<typeof pullsAnswer>;

/** What pulls did in one time. */
export const figureSums = z.object({
  pulls: z.number(),
  requests: z.number().describe('Requests for manifests and blobs that were answered.'),
  hits: z.number().describe('Of these, requests that this server answered without an upstream.'),
  failed: z
    .number()
    .describe(
      'Requests that were answered 5xx, or cut: what does not exist (404) is none of them, though its pull is `failed`.',
    ),
  bytes: bytes.describe('Bytes of content sent to clients: the bodies of errors do not count.'),
  fetched: bytes.describe('Bytes received from upstreams.'),
  saved: bytes.describe('`bytes` less `fetched`, and at least 0.'),
});
export type FigureSums = z.infer<typeof figureSums>;

const figuresInput = z.object({
  from: z.number().optional().describe('Milliseconds since 1970; absent: 24 hours before `to`.'),
  to: z.number().optional().describe('Milliseconds since 1970; absent: now.'),
  step: z.enum(['hour', 'day']).default('hour'),
  image: search.describe('`registry/repository`: the figures of this repository alone.'),
});
export type FiguresInput = z.infer<typeof figuresInput>;

const figuresAnswer = z.object({
  since: time.describe('When counting began. Milliseconds since 1970.'),
  off,
  from: time,
  to: time,
  total: figureSums,
  rows: z
    .array(figureSums.extend({ at: time }))
    .readonly()
    .describe('The oldest first; a step without a request has no row.'),
  top: z
    .array(figureSums.extend({ registry: z.string(), repository: z.string() }))
    .readonly()
    .describe(
      'The repositories with the most bytes, of those that the caller may see; empty names: all others together.',
    ),
});
export type FiguresAnswer = z.infer<typeof figuresAnswer>;

/**
 * A pull as a caller may see it. Names and addresses of others are for callers who may administer: for all else the address is
 * empty, and the user absent.
 */
export function pullShownTo<Pull extends PullSummary>(caller: Caller, pull: Pull): Pull {
  if (maySee(caller, pull.user)) return pull;
  const { user: _, ...others } = pull;
  return { ...others, client: '' } as Pull;
}

/** One pull in full, as a caller may see it: which of the rules allowed it is for those who may read the rules. */
export function detailShownTo(caller: Caller, pull: PullDetail): PullDetail {
  const shown = pullShownTo(caller, pull);
  if (caller.seesClients) return shown;
  const { rule: _, ...others } = shown;
  return others;
}

/** Who did something, by the same rule: the name of a principal or an address; undefined where the caller may not know. */
export function actorShownTo(caller: Caller, actor: string): string | undefined {
  return maySee(caller, actor) ? actor : undefined;
}

/** Clients without a name are many: none of them has a pull of its own. */
function maySee({ seesClients, name }: Caller, actor: string | undefined): boolean {
  return seesClients || (actor === name && name !== 'anonymous');
}

/** What the operations on pulls act on. */
export interface PullContext {
  readonly pulls: {
    list(input: PullsInput, caller: Caller): Promise<PullsAnswer>;
    /** @param id of any request of the pull; undefined where none has it, or the caller may not see it */
    find(id: string, caller: Caller): Promise<PullDetail | undefined>;
    figures(input: FiguresInput, caller: Caller): Promise<FiguresAnswer>;
  };
}

const pulls: Operation<PullsInput, PullsAnswer, PullContext> = {
  name: 'pulls',
  summary: 'The pulls under way and the last ten thousand, newest first',
  action: 'status',
  changes: false,
  input: pullsInput,
  answer: pullsAnswer,
  handle: (input, context, caller) => context.pulls.list(input, caller),
};

const figures: Operation<FiguresInput, FiguresAnswer, PullContext> = {
  name: 'figures',
  summary: 'Pulls, hits and bytes by the hour or day',
  action: 'status',
  changes: false,
  input: figuresInput,
  answer: figuresAnswer,
  handle: (input, context, caller) => context.pulls.figures(input, caller),
};

export const PULL_OPERATIONS = { pulls, figures };
export { pullDetail };
