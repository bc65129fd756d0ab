import * as z from 'zod';
import type { Caller, Operation } from './operation.ts';
import { image, time } from './page.ts';
import { type PullDetail, pullDetail, pullSummary } from './pull-operations.ts';
import { route, upstreamStatus } from './status.ts';

const accessExplainInput = z.object({
  who: z.string({ error: 'expected `alice`, `token:NAME` or `anonymous`' }).max(200),
  action: z.enum(['pull', 'catalog', 'push', 'delete', 'status', 'admin', 'proxy']),
  image: image.optional(),
});
export type AccessExplainInput = z.infer<typeof accessExplainInput>;

const accessExplainAnswer = z.object({
  verdict: z.enum(['allowed', 'if-public', 'refused']),
  text: z.string().describe('One sentence in English.'),
  rule: z.string().exactOptional().describe('The rule that decides, as `access.rules[0]`.'),
  place: z.string().exactOptional().describe('Its file and line.'),
});
export type AccessExplainAnswer = z.infer<typeof accessExplainAnswer>;

const rulesAnswer = z.object({
  configured: z.boolean().describe('False: there is no `access:`.'),
  audit: z.boolean(),
  groups: z.array(z.object({ name: z.string(), members: z.array(z.string()).readonly() })).readonly(),
  rules: z
    .array(
      z.object({
        who: z.array(z.string()).readonly(),
        may: z.array(z.string()).readonly(),
        on: z.array(z.string()).readonly(),
        private: z.boolean(),
        place: z.string().exactOptional(),
      }),
    )
    .readonly(),
});
/** The rules of access. */
export type RulesAnswer = z.infer<typeof rulesAnswer>;

const imageExplanation = z.object({
  image: z.string().describe('Completed.'),
  registry: z.string(),
  repository: z.string(),
  reference: z.string(),
  home: z.enum(['mirrored', 'hosted']),
  namedBy: z.string().describe('What named the registry: `path`, `default`, …'),
  access: accessExplainAnswer.exactOptional().describe('For the given principal; absent where there are no rules.'),
  accessOf: z.string().exactOptional().describe('The principal that `access` is of.'),
  cache: z.object({
    state: z.enum(['stored', 'partial', 'missing']),
    digest: z.string().exactOptional(),
    checkedAt: time.exactOptional(),
    freshUntil: time.exactOptional(),
    held: z.string().exactOptional().describe('The reason of the hold; may be empty.'),
    cooling: z.object({ digest: z.string(), until: time }).exactOptional(),
    pinned: z.boolean(),
    next: z.string().describe('What the next pull does, in one sentence in English.'),
    plan: z
      .object({
        kind: z
          .enum(['hosted', 'not-pushed', 'held', 'cache-off', 'not-kept', 'fetch', 'by-digest', 'fresh', 'ask'])
          .describe(
            '`held`: gets the digest of the hold. `not-kept`: `cache.tags` is `never`. `fetch`: nothing is known here. `fresh`: asks no upstream where the tag points. `ask`: asks whether the tag has moved.',
          ),
        upstream: z.string().exactOptional().describe('Asked first for what is missing; absent where none is asked.'),
        resting: z.string().exactOptional().describe('The first upstream, which failed a moment ago.'),
        cooled: z.literal(true).exactOptional().describe('An older digest is served, as `cooling` says.'),
      })
      .describe('The same, for programs.'),
  }),
  upstreams: z
    .array(z.object({ name: z.string(), url: z.string(), health: upstreamStatus.exactOptional() }))
    .readonly()
    .describe('In the order in which they are asked.'),
  route: route
    .exactOptional()
    .describe('The order for what is asked by digest; absent where that is the order of `upstreams`.'),
  pulls: z.array(pullSummary).readonly().describe('The last ten.'),
});
export type ImageExplanation = z.infer<typeof imageExplanation>;

const explainInput = z.object({
  of: image.describe('The `X-Request-Id` of a response, or an image.'),
  who: z
    .string()
    .max(200)
    .optional()
    .describe('For an image: the principal; absent: the caller, and anonymous for the operator.'),
});
export type ExplainInput = z.infer<typeof explainInput>;

const explainAnswer = z.object({
  pull: pullDetail.exactOptional().describe('Where `of` is the id of a request.'),
  image: imageExplanation.exactOptional().describe('Where `of` is an image.'),
});
export type ExplainAnswer = { readonly pull?: PullDetail; readonly image?: ImageExplanation };

export interface ExplainContext {
  readonly explain: {
    /** Rejects with an `OciError` where nothing has the id or the name. */
    any(input: ExplainInput, caller: Caller): Promise<ExplainAnswer>;
    access(input: AccessExplainInput): Promise<AccessExplainAnswer>;
    rules(): Promise<RulesAnswer>;
  };
}

const explain: Operation<ExplainInput, ExplainAnswer, ExplainContext> = {
  name: 'explain',
  summary: 'Why a pull went as it did, or how an image would be pulled',
  action: 'status',
  changes: false,
  input: explainInput,
  answer: explainAnswer,
  handle: (input, context, caller) => context.explain.any(input, caller),
};

const accessExplain: Operation<AccessExplainInput, AccessExplainAnswer, ExplainContext> = {
  name: 'access/explain',
  summary: 'Which rule allows something, or that none does',
  action: 'admin',
  changes: false,
  input: accessExplainInput,
  answer: accessExplainAnswer,
  handle: (input, context) => context.explain.access(input),
};

const rules: Operation<object, RulesAnswer, ExplainContext> = {
  name: 'access/rules',
  summary: 'The rules of access in effect',
  action: 'admin',
  changes: false,
  input: z.object({}),
  answer: rulesAnswer,
  handle: (_, context) => context.explain.rules(),
};

export const EXPLAIN_OPERATIONS = { explain, accessExplain, accessRules: rules };
