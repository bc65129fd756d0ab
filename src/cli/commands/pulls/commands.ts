import { type Command, InvalidArgumentError, Option } from 'commander';
import { type CommandContext, optionsOf, serverFlags } from '../../command.ts';
import type { ExplainOptions } from './explain.ts';
import type { PullsOptions } from './pulls.ts';

/** The options of `pulls` as its command line has them. */
interface PullsCommandOptions extends PullsOptions {
  /** Prints each pull when it ends. @default false */
  readonly follow?: boolean;
}

/** The functions that the commands on pulls run. Each is imported when it runs, so that `--help` stays quick. */
export const pullActions = {
  pulls: async ({ follow, ...options }: PullsCommandOptions) =>
    follow === true ? (await import('./follow.ts')).followPulls(options) : (await import('./pulls.ts')).pulls(options),
  explain: async (options: ExplainOptions) => (await import('./explain.ts')).explain(options),
};
export type PullActions = typeof pullActions;

/** As `OPERATIONS.pulls` has them; a test compares. */
export const OUTCOMES = ['failed', 'refused', 'stale', 'miss', 'hit'] as const;

/** Pulls of one command. The server keeps as many. */
const MAX_PULLS = 10_000;

/** Defines `pulls` and `explain`. */
export function addPullCommands(program: Command, { actions, finish }: CommandContext<PullActions>): void {
  serverFlags(program.command('pulls'))
    .description('Show the pulls under way and the last ones: who pulled what, and how it went.')
    .option('-f, --follow', 'print each pull when it ends, until Ctrl-C')
    .option('--image <words>', 'only images whose name has these words')
    .option('--client <words>', 'only clients whose address, user or user agent has these words')
    .addOption(new Option('--outcome <outcome>', 'only pulls that ended so').choices(OUTCOMES))
    .option('--limit <number>', 'as many as this (20 without it)', numberOfPulls)
    .addHelpText('after', PULLS_HELP)
    .action(async (_, command: Command) => finish(await actions.pulls(optionsOf(command))));
  serverFlags(program.command('explain'))
    .argument('<request-id|image>', 'the X-Request-Id of a response, or an image')
    .description('Explain why a pull went as it did, or what the next pull of an image does.')
    .option('--who <name>', 'for an image: who pulls it, as alice, token:ci or anonymous (anonymous without it)')
    .addHelpText('after', EXPLAIN_HELP)
    .action(async (of: string, _, command: Command) => finish(await actions.explain({ ...optionsOf(command), of })));
}

function numberOfPulls(text: string): number {
  const number = Number(text);
  if (/^\d+$/.test(text) && number >= 1 && number <= MAX_PULLS) return number;
  throw new InvalidArgumentError(`Expected a number from 1 to ${MAX_PULLS}.`);
}

const PULLS_HELP = `
Examples:
  entrepot pulls                                   the last 20, the newest first
  entrepot pulls --follow --outcome failed         what fails, as it happens
  entrepot pulls --image nginx --client 10.0.0.7 --limit 100
  entrepot pulls --json | jq -r 'select(.outcome == "miss") | .repository'

One pull is the requests of one client for one repository, with no long pause between them. OUTCOME: failed, a request of it
failed; refused, the rules refused it; stale, an upstream was down and the cache answered; miss, an upstream sent content; hit,
everything came from this server. With --json each pull is one line. \`entrepot explain ID\` tells more about one.
Exit codes: 0 success, 1 no server answers, 2 wrong command line.`;

const EXPLAIN_HELP = `
Examples:
  entrepot explain k3x9-2f                         a pull, by the X-Request-Id of any of its responses
  entrepot explain nginx:1.27                      what is stored of it, and what the next pull does
  entrepot explain ghcr.io/ours/app --who token:ci

\`entrepot pulls\` lists the ids, the log has them as id, and each response as X-Request-Id. Nothing is fetched.
Exit codes: 0 success, 1 no pull has the id, no image has the name, or the rules refuse it to --who; 2 wrong command line.`;
