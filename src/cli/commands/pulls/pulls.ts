import { OPERATIONS, type PullsAnswer, type PullsInput } from '../../../admin/index.ts';
import type { CommandOptions } from '../../command.ts';
import { EXIT } from '../../exit-code.ts';
import { formatInstant } from '../../format.ts';
import { type Output, processOutput } from '../../output.ts';
import { runServerCommand } from '../../server-command.ts';
import { formatPulls } from './pulls-table.ts';

/** The options of `pulls`. */
export interface PullsOptions extends CommandOptions {
  readonly image?: string;
  readonly client?: string;
  readonly outcome?: PullsInput['outcome'];
  /** From 1 to 10,000. @default 20 */
  readonly limit?: number;
}

export const DEFAULT_LIMIT = 20;
/** Pulls of one call. */
const PAGE = 500;

export const WHERE_OFF =
  'A server without a cache directory has no control socket; GET /api/v1/pulls answers the same. ' +
  'For a server with a cache elsewhere, name the directory with --cache-dir.';

/**
 * `entrepot pulls`: lists the pulls under way and the last ones, the newest first.
 *
 * @param surroundings `columns`: of the terminal; undefined where it is none, and nothing is cut
 * @returns the exit code
 */
export async function pulls(
  { limit = DEFAULT_LIMIT, ...options }: PullsOptions,
  surroundings: { readonly output?: Output; readonly columns?: number | undefined } = {},
): Promise<number> {
  const { output = processOutput, columns = process.stdout.columns } = surroundings;
  const found: PullsAnswer['pulls'][number][] = [];
  let after: string | undefined;
  do {
    let answer: PullsAnswer | undefined;
    const input = { ...filterOf(options), after, limit: Math.min(PAGE, limit - found.length) };
    const code = await runServerCommand(
      {
        flags: options.flags,
        operation: OPERATIONS.pulls,
        input,
        signal: options.signal,
        whereOff: WHERE_OFF,
        show(given) {
          answer = given;
          return EXIT.ok;
        },
      },
      output,
    );
    if (answer === undefined) return code;
    found.push(...answer.pulls);
    after = answer.next;
    if (found.length === 0 && after === undefined && options.json !== true) {
      const what = Object.values(filterOf(options)).some((each) => each !== undefined) ? 'such pull' : 'pull';
      output.out(`No ${what} since ${formatInstant(answer.since)}.\n`);
    }
  } while (after !== undefined && found.length < limit);
  if (options.json === true) for (const pull of found) output.out(`${JSON.stringify(pull)}\n`);
  else if (found.length > 0) output.out(formatPulls(found, { columns, now: Date.now() }));
  return EXIT.ok;
}

export function filterOf({ image, client, outcome }: PullsOptions): Pick<PullsInput, 'image' | 'client' | 'outcome'> {
  return { image, client, outcome };
}
