import * as z from 'zod';
import type { Caller, Operation } from './operation.ts';
import { bytes, time } from './page.ts';
import { OperationError } from './refusal.ts';

const by = z.string().describe('`schedule`, or who started it.');

const lastRun = z.object({
  startedAt: time,
  endedAt: time,
  outcome: z
    .enum(['done', 'failed', 'stopped', 'interrupted'])
    .describe(
      '`failed`: an image failed at least. `stopped`: an operator cancelled it. `interrupted`: the server stopped.',
    ),
  by,
  done: z.number().describe('Images that are where they are to be.'),
  failed: z.number().describe('Images that are not.'),
  fetched: bytes.describe('Bytes that were fetched into the cache; of a copy 0, where `sent` counts.'),
  sent: bytes.exactOptional().describe('Bytes that were sent to destinations; of a copy alone.'),
  errors: z
    .array(z.object({ image: z.string().describe('Empty where it is about all of them.'), error: z.string() }))
    .readonly()
    .describe('The first few.'),
});

export const schedule = z.object({
  name: z.string(),
  kind: z.enum(['warm', 'copy']).describe('The section of the configuration that has it.'),
  schedule: z.string().describe('As the configuration has it.'),
  timeZone: z.string().exactOptional(),
  images: z.array(z.string()).readonly().describe('The first hundred; of a copy where they come from.'),
  copies: z
    .array(z.object({ from: z.string(), to: z.string(), allTags: z.boolean() }))
    .readonly()
    .exactOptional()
    .describe('Of a copy alone: `images` in their order, and where they go.'),
  imageCount: z.number().describe('With `allTags` a repository counts once.'),
  platforms: z.array(z.string()).readonly(),
  nextAt: time.exactOptional().describe('Absent where it does not run by itself: the server is offline.'),
  running: z
    .object({
      startedAt: time,
      by,
      job: z
        .string()
        .exactOptional()
        .describe('As `warm/jobs` or `copy/jobs` has it; absent while the tags to copy are read.'),
    })
    .exactOptional(),
  last: lastRun.exactOptional().describe('The last run that has ended.'),
});
/** Images that are fetched into the cache, or copied, by a schedule. */
export type ScheduleEntry = z.infer<typeof schedule>;

const listAnswer = z.object({
  schedules: z.array(schedule).readonly().describe('In the order of the configuration.'),
});
export type SchedulesAnswer = z.infer<typeof listAnswer>;

export interface ScheduleContext {
  readonly schedules: {
    list(caller: Caller): Promise<readonly ScheduleEntry[]>;
    /** Undefined where there is no such schedule. Rejects with an `OciError` where a run cannot begin, or the caller may not have it run. */
    run(
      name: string,
      caller: Caller,
    ): Promise<{ readonly schedule: ScheduleEntry; readonly started: boolean } | undefined>;
  };
}

const schedules: Operation<object, SchedulesAnswer, ScheduleContext> = {
  name: 'schedules',
  summary: 'The schedules that fetch images into the cache or copy them, and their last runs',
  action: 'status',
  changes: false,
  input: z.object({}),
  answer: listAnswer,
  handle: async (_, context, caller) => ({ schedules: await context.schedules.list(caller) }),
};

const runInput = z.object({
  name: z
    .string({ error: 'expected the name of a schedule' })
    .max(1100, 'expected the name of a schedule')
    .describe('The name of a schedule.'),
});

const runAnswer = z.object({
  schedule,
  started: z.boolean().describe('False: it runs already.'),
});
export type ScheduleRunAnswer = z.infer<typeof runAnswer>;

/** Rejects where there is no such schedule, with the names that there are. */
const scheduleRun: Operation<z.infer<typeof runInput>, ScheduleRunAnswer, ScheduleContext> = {
  name: 'schedules/run',
  summary: 'Run a schedule now',
  action: 'admin',
  changes: true,
  input: runInput,
  answer: runAnswer,
  async handle({ name }, context, caller) {
    const answer = await context.schedules.run(name, caller);
    if (answer !== undefined) return answer;
    const names = (await context.schedules.list(caller)).map((each) => each.name).slice(0, MAX_NAMES);
    throw new OperationError(
      names.length === 0
        ? 'the configuration that the server runs has no schedules; add one under warm or copy, and run entrepot reload'
        : `no schedule has this name; there are ${names.join(', ')}`,
    );
  },
};

/** Names in a message. */
const MAX_NAMES = 10;

export const SCHEDULE_OPERATIONS = { schedules, scheduleRun };
