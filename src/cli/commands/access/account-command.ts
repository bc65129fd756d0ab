import { type AccountContext, OPERATOR, type Operation } from '../../../admin/index.ts';
import { accountRulesOf, composeRegistries, configuredUsersOf, openAccounts } from '../../../app/index.ts';
import type { Config } from '../../../config/index.ts';
import { Telemetry } from '../../../telemetry/index.ts';
import type { CommandOptions } from '../../command.ts';
import { EXIT } from '../../exit-code.ts';
import { formatJson } from '../../format.ts';
import type { Output } from '../../output.ts';
import { runServerCommand } from '../../server-command.ts';

interface AccountCommand<Input, Answer> {
  readonly operation: Operation<Input, Answer, AccountContext>;
  readonly input: Input;
  /** The answer for people, with its line ends; on standard output. */
  readonly text: (answer: Answer) => string;
  /** What people are told beside it, on standard error. @default nothing */
  readonly aside?: (answer: Answer) => string;
  /** The answer for programs. @default as it is */
  readonly data?: (answer: Answer) => unknown;
}

/** Runs an operation on users and tokens in the running server, or in the cache directory where none runs. Gives the exit code. */
export function runAccountCommand<Input, Answer>(
  { flags, json }: CommandOptions,
  command: AccountCommand<Input, Answer>,
  output: Output,
): Promise<number> {
  const { operation, input, text, aside, data = (answer) => answer } = command;
  return runServerCommand(
    {
      flags,
      operation,
      input,
      show(answer) {
        output.out(json ? formatJson(data(answer)) : text(answer));
        const beside = json ? '' : (aside?.(answer) ?? '');
        if (beside !== '') output.err(beside);
        return EXIT.ok;
      },
      // To lock a user out must not wait until a configuration is right again.
      despiteProblems: true,
      // Others have done in moments.
      turnLimit: 5000,
      whereOff:
        'Users and tokens are stored in the cache directory, and the configuration has no cache. Name the directory of one with cache.dir, or keep users in the file of access.htpasswd.',
      alone: ({ loaded: { config } }) => withAccounts(config, (context) => operation.handle(input, context, OPERATOR)),
    },
    output,
  );
}

async function withAccounts<T>(config: Config, work: (context: AccountContext) => T | Promise<T>): Promise<T> {
  if (config.cache === 'off') throw new Error('a command owns a directory only where there is a cache');
  const catalogue = composeRegistries(config);
  const accounts = await openAccounts(config.cache.dir, { telemetry: new Telemetry() });
  try {
    return await work({
      accounts: () => Promise.resolve(accounts),
      accountRules: async () =>
        accountRulesOf(config, { catalogue, others: await configuredUsersOf(config, catalogue) }),
    });
  } finally {
    await accounts.close();
  }
}

/** What makes a user or token useless so far. */
export function formatWarnings(warnings: readonly string[]): string {
  return warnings.map((warning) => `note: ${warning}\n`).join('');
}

/** `2026-11-29 11:20`, in UTC as the log has it; `never` where there is none. @param time milliseconds since 1970 */
export function formatTime(time: number | undefined): string {
  return time === undefined ? 'never' : new Date(time).toISOString().slice(0, 16).replace('T', ' ');
}
