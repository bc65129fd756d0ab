import * as z from 'zod';
import type { Operation } from './operation.ts';
import { upstreamStatus } from './status.ts';

const upstream = z.object({
  name: z.string(),
  url: z.string().describe('Without credentials.'),
  health: upstreamStatus.exactOptional().describe('Absent until it was asked.'),
  latencyMs: z
    .number()
    .exactOptional()
    .describe(
      'The median time to the response head of its last 50 requests, without token services and redirect targets.',
    ),
  requests: z.number().describe('Requests since the start.'),
  failures: z
    .number()
    .describe('Of these, without a response, or with a status of 500 and above. One that was given up here is none.'),
  bytes: z.number().describe('Bytes of blobs that it sent since the start.'),
  credential: z
    .string()
    .exactOptional()
    .describe(
      'The user names it is asked with, or what they come from: `$NAME`, a file, a credential helper; absent: none.',
    ),
  maxConnections: z.number().exactOptional(),
});

const registry = z.object({
  name: z.string(),
  kind: z.enum(['registry', 'mirror']).describe('`mirror`: a site under a path of this server.'),
  configured: z.boolean().describe('False: built in, and not in the configuration.'),
  isDefault: z.boolean(),
  aliases: z.array(z.string()).readonly(),
  hosted: z.enum(['all', 'some', 'none']).describe('Which of its repositories are hosted here.'),
  upstreams: z.array(upstream).readonly().describe('In the order in which they are asked.'),
});

const registriesAnswer = z.object({ registries: z.array(registry).readonly() });
export type RegistriesAnswer = z.infer<typeof registriesAnswer>;

const checkInput = z.object({
  name: z.string({ error: 'expected the name of a registry, an upstream or a mirror route' }).max(300),
});

const checkAnswer = z.object({
  targets: z
    .array(
      z.object({
        registry: z.string(),
        upstream: z.string(),
        ok: z.boolean(),
        steps: z
          .array(
            z.object({
              step: z.string(),
              outcome: z.enum(['ok', 'warning', 'failed']),
              durationMs: z.number(),
              summary: z.string(),
              remedy: z.string().exactOptional(),
            }),
          )
          .readonly(),
      }),
    )
    .readonly(),
});
export type CheckAnswer = z.infer<typeof checkAnswer>;

export interface RegistryContext {
  readonly registries: {
    list(): Promise<RegistriesAnswer>;
    /** Rejects with an `OciError` where nothing has the name. One check of a name at a time; further calls join it. */
    check(name: string): Promise<CheckAnswer>;
  };
}

const registries: Operation<object, RegistriesAnswer, RegistryContext> = {
  name: 'registries',
  summary: 'The registries and mirror routes, with their upstreams and their health',
  action: 'admin',
  changes: false,
  input: z.object({}),
  answer: registriesAnswer,
  handle: (_, context) => context.registries.list(),
};

const check: Operation<z.infer<typeof checkInput>, CheckAnswer, RegistryContext> = {
  name: 'registries/check',
  summary: 'Check step by step whether upstreams can be reached',
  action: 'admin',
  changes: true,
  input: checkInput,
  answer: checkAnswer,
  handle: ({ name }, context) => context.registries.check(name),
};

export const REGISTRY_OPERATIONS = { registries, registryCheck: check };
