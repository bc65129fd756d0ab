import * as z from 'zod';

const routedUpstream = z.object({
  upstream: z.string(),
  state: z
    .enum(['up', 'trying', 'resting'])
    .describe('`resting`: a request to it fails at once. `trying`: the next request tries whether it is back.'),
  weight: z.number().exactOptional().describe('Where the strategy is `weighted` or a plugin.'),
  latencyMs: z
    .number()
    .exactOptional()
    .describe('The mean time to the head of its answers; absent where it was not measured in the last half hour.'),
  bytesPerSecond: z
    .number()
    .exactOptional()
    .describe('The mean rate of its blobs over one connection; absent likewise.'),
  why: z.string().describe('Why it has this place, in a few words of English.'),
});

/** In which order the upstreams of a registry are asked. */
export const route = z.object({
  registry: z.string(),
  by: z.enum(['ordered', 'fastest', 'weighted', 'plugin']),
  tags: z
    .boolean()
    .describe(
      'Whether tags and lists follow the strategy; otherwise they are asked in the order of the configuration.',
    ),
  plugin: z
    .object({
      file: z.string(),
      state: z
        .enum(['working', 'paused'])
        .describe('`paused`: it failed again and again, and is not asked for a while.'),
      failures: z.number().describe('Questions since it was loaded that it did not answer, or not rightly.'),
      lastFault: z.string().exactOptional().describe('What it did wrong last.'),
    })
    .exactOptional(),
  upstreams: z
    .array(routedUpstream)
    .readonly()
    .describe(
      'In the order in which they would be asked now; where a plugin decides, in `status`, in that of the configuration.',
    ),
});
export type Route = z.infer<typeof route>;
