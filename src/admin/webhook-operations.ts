import * as z from 'zod';
import type { Operation } from './operation.ts';
import { OperationError } from './refusal.ts';

const texts = z.array(z.string()).readonly();

const webhookStatus = z.object({
  hook: z.string().describe('Its name.'),
  url: z.string().describe('Without its query.'),
  events: texts,
  on: texts.describe('Patterns of repositories; empty for all of them.'),
  state: z
    .enum(['unused', 'working', 'failing', 'gone'])
    .describe(
      '`unused`: nothing was sent yet. `failing`: the last attempt failed. `gone`: it answered 410, and nothing is sent.',
    ),
  queued: z.number().describe('Deliveries that wait.'),
  delivered: z.number().describe('Since the start, as the other counts.'),
  failed: z.number().describe('Attempts that failed.'),
  givenUp: z.number().describe('Deliveries that were given up after all attempts.'),
  dropped: z.number().describe('Deliveries that were dropped: the queue was full, or the webhook was gone or removed.'),
  lastSuccessAt: z.number().optional(),
  lastFailure: z.object({ at: z.number(), reason: z.string() }).optional(),
  nextAttemptAt: z.number().optional().describe('When the next delivery that waits is tried.'),
});
/** How one webhook is doing. Times are milliseconds since 1970. */
export type WebhookStatus = z.infer<typeof webhookStatus>;

/** Of the operation `status`, which older servers answer without it. */
export const webhookStatuses = z.array(webhookStatus).readonly();

const webhookTest = z.object({
  hook: z.string(),
  url: z.string().describe('Without its query.'),
  isTaken: z.boolean().describe('It answered with a status from 200 to 299.'),
  status: z.number().optional().describe('Absent where no answer came.'),
  reason: z.string().optional().describe('Why it failed.'),
  answer: z.string().optional().describe('The beginning of the body of the answer, 4 KiB at most.'),
  durationMs: z.number(),
});

export interface WebhookContext {
  readonly webhooks: {
    readonly status: readonly WebhookStatus[];
    readonly test: (wanted?: string) => Promise<readonly z.infer<typeof webhookTest>[]>;
  };
}

const listAnswer = z.object({ webhooks: webhookStatuses });
export type WebhooksAnswer = z.infer<typeof listAnswer>;

const webhooks: Operation<object, WebhooksAnswer, WebhookContext> = {
  name: 'webhooks',
  summary: 'The webhooks, and what waits for each',
  action: 'admin',
  changes: false,
  input: z.object({}),
  answer: listAnswer,
  handle: (_, { webhooks: { status } }) => ({ webhooks: status }),
};

const testInput = z.object({
  webhook: z
    .string({ error: 'expected the name or the URL of a webhook' })
    .max(4096, 'expected the name or the URL of a webhook')
    .optional()
    .describe('The name or the URL of a webhook. All of them without it.'),
});

const testAnswer = z.object({ results: z.array(webhookTest).readonly() });
export type WebhookTestAnswer = z.infer<typeof testAnswer>;

/** Sends an event `ping` to receivers. Rejects where there is none, with the names that there are. */
const webhookTestOperation: Operation<z.infer<typeof testInput>, WebhookTestAnswer, WebhookContext> = {
  name: 'webhooks/test',
  summary: 'Send an event `ping` to webhooks',
  action: 'admin',
  changes: true,
  input: testInput,
  answer: testAnswer,
  async handle({ webhook }, { webhooks: { status, test } }) {
    const results = await test(webhook);
    if (results.length > 0) return { results };
    if (status.length === 0) {
      throw new OperationError(
        'the configuration that the server runs has no webhooks; add one under webhooks, and run entrepot reload',
      );
    }
    const names = status.map(({ hook }) => hook).join(', ');
    throw new OperationError(`no webhook has this name or URL; there are ${names}`);
  },
};

export const WEBHOOK_OPERATIONS = { webhooks, webhookTest: webhookTestOperation };
