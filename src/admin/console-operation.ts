import * as z from 'zod';
import type { Operation } from './operation.ts';
import { time } from './page.ts';

const consoleAnswer = z.object({
  code: z.string().describe('Exchanged once, at `/api/v1/session`, for a session that may change things.'),
  expiresAt: time,
  urls: z
    .array(z.string())
    .readonly()
    .describe('The page at each listener or public URL, the best first, without the code.'),
});
export type ConsoleAnswer = z.infer<typeof consoleAnswer>;

export interface ConsoleContext {
  /** A code for one session of the operator; it holds for a minute. */
  readonly openConsole: () => Promise<ConsoleAnswer>;
}

/** A client of the control socket may change things from the page too. */
export const console: Operation<object, ConsoleAnswer, ConsoleContext> = {
  name: 'console',
  summary: 'A code that begins a session of the operator',
  action: 'admin',
  socketOnly: true,
  changes: true,
  input: z.object({}),
  answer: consoleAnswer,
  handle: (_, context) => context.openConsole(),
};
