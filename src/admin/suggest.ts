import * as z from 'zod';
import type { Operation } from './operation.ts';

const THIRTY_DAYS = 30 * 86_400_000;
/** A hundred years. */
const LONGEST = 100 * 365 * 86_400_000;

const suggestInput = z.object({
  within: z
    .int({ error: 'expected a number of milliseconds' })
    .min(1, 'expected at least a millisecond')
    .max(LONGEST, 'expected at most a hundred years')
    .default(THIRTY_DAYS)
    .describe('How far back, in milliseconds.'),
  generalize: z
    .boolean()
    .default(false)
    .describe('Whether a pattern may stand for all repositories of a namespace, from the third on.'),
});
export type SuggestInput = z.infer<typeof suggestInput>;

const requests = z.number().describe('Answered requests.');
const audited = z.number().describe('Of these, requests that only audit mode let through.');
const lastAt = z.number();

const unruled = z.object({
  principal: z.string(),
  action: z.string(),
  target: z.string().describe('As a pattern of rules. Empty for an action that concerns no repository.'),
  requests: z.number(),
  lastAt,
});

const suggestAnswer = z.object({
  audit: z.boolean().describe('Whether audit mode is on.'),
  observed: z
    .object({
      since: z.number().describe('When observing began.'),
      from: z.number(),
      to: z.number(),
      rules: z
        .array(
          z.object({
            who: z.array(z.string()).readonly(),
            may: z.array(z.string()).readonly(),
            on: z
              .array(
                z.object({
                  pattern: z.string(),
                  requests,
                  audited,
                  lastAt,
                  repositories: z.number().optional().describe('How many a generalized pattern stands for.'),
                  refusedAt: z
                    .number()
                    .optional()
                    .describe('Set where the last refusal is younger than the last answer.'),
                }),
              )
              .readonly(),
            private: z.literal(true).optional(),
            requests,
            audited,
            lastAt,
          }),
        )
        .readonly(),
      cut: z.number().describe('Patterns that are left out because there are too many.'),
      refused: z.array(unruled).readonly().describe('What was refused and is in no rule; the first two hundred.'),
      refusedCount: z.number(),
      left: z
        .array(unruled.extend({ reason: z.string() }))
        .readonly()
        .describe('What was answered and no rule can be made for; the first two hundred.'),
      leftCount: z.number(),
      unnamed: z
        .object({ answered: z.number(), denied: z.number() })
        .describe('Requests that were counted without their names.'),
    })
    .nullable()
    .describe('Null where nothing is observed, because there are no rules.'),
});
/** The rules that the requests of a time would have needed. Times are milliseconds since 1970. */
export type SuggestAnswer = z.infer<typeof suggestAnswer>;

export interface SuggestContext {
  readonly suggest: (input: SuggestInput) => Promise<SuggestAnswer>;
}

export const suggest: Operation<SuggestInput, SuggestAnswer, SuggestContext> = {
  name: 'suggest',
  summary: 'The rules that the requests of a time would have needed',
  action: 'admin',
  changes: false,
  input: suggestInput,
  answer: suggestAnswer,
  handle: (input, context) => context.suggest(input),
};
