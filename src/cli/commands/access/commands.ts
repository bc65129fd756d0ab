import { type Command, InvalidArgumentError } from 'commander';
import { type CommandContext, collect, optionsOf, serverFlags } from '../../command.ts';
import { TOKEN_ACTIONS, type TokenAction } from './token-action.ts';

const PASSWORD_STDIN = 'read the password from standard input instead of asking for it at the terminal';

/** Defines `users` and `tokens` with their own commands. Each action is imported when it runs. */
export function addAccountCommands(program: Command, { output, finish }: CommandContext<unknown>): void {
  const load = () => import('./users.ts');
  const users = program
    .command('users')
    .description('Manage the users who are stored in the cache directory.')
    .addHelpText('after', USERS_HELP);
  serverFlags(users.command('add'))
    .argument('<name>', 'name of the user, as rules have it')
    .option('--password-stdin', PASSWORD_STDIN)
    .description('Add a user. The password is asked for twice and not shown.')
    .action(async (name: string, _, command: Command) =>
      finish(await (await load()).addUser({ ...optionsOf(command), name }, output)),
    );
  serverFlags(users.command('passwd'))
    .argument('<name>', 'name of the user')
    .option('--password-stdin', PASSWORD_STDIN)
    .description(
      'Set another password. The old one is refused at once, with the signed tokens that clients got for it.',
    )
    .action(async (name: string, _, command: Command) =>
      finish(await (await load()).changePassword({ ...optionsOf(command), name }, output)),
    );
  for (const [verb, disabled, description] of [
    ['disable', true, 'Refuse a user and their tokens from the next request on, and keep both.'],
    ['enable', false, 'Let a disabled user in again, with the password and tokens as they were.'],
  ] as const) {
    serverFlags(users.command(verb))
      .argument('<name>', 'name of the user')
      .description(description)
      .action(async (name: string, _, command: Command) =>
        finish(await (await load()).switchUser({ ...optionsOf(command), name, disabled }, output)),
      );
  }
  serverFlags(users.command('remove'))
    .argument('<name>', 'name of the user')
    .description('Remove a user, and the tokens that act for them.')
    .action(async (name: string, _, command: Command) =>
      finish(await (await load()).removeUser({ ...optionsOf(command), name }, output)),
    );
  serverFlags(users.command('list'))
    .description('List the users: those stored here and those of the configuration.')
    .action(async (_, command: Command) => finish(await (await load()).listUsers(optionsOf(command), output)));
  addTokenCommands(program, { output, finish });
}

function addTokenCommands(
  program: Command,
  { output, finish }: Pick<CommandContext<unknown>, 'output' | 'finish'>,
): void {
  const load = () => import('./tokens.ts');
  const tokens = program
    .command('tokens')
    .description('Manage tokens: passwords for robots, with scopes and an end.')
    .addHelpText('after', TOKENS_HELP);
  serverFlags(tokens.command('create'))
    .argument('<name>', 'name of the token; rules name it token:NAME')
    .option('--user <name>', 'let it act for this user: their rules decide, and it is refused when they are')
    .option('--expires <time>', 'how long it is valid: 12h, 90d or never (90d without it)')
    .option(
      '--may <actions>',
      `what it may at most: ${TOKEN_ACTIONS.join(', ')}, with commas between (pull without it)`,
      actions,
    )
    .option('--on <pattern>', 'repositories that it may at most, as rules name them; may be repeated', collect)
    .description('Create a token, and print it once, alone on standard output.')
    .action(async (name: string, _, command: Command) =>
      finish(await (await load()).createToken({ ...optionsOf(command), name }, output)),
    );
  serverFlags(tokens.command('list'))
    .description('List the tokens with their scopes, their end and their last use. The tokens themselves are not kept.')
    .action(async (_, command: Command) => finish(await (await load()).listTokens(optionsOf(command), output)));
  serverFlags(tokens.command('revoke'))
    .argument('<name>', 'name of the token')
    .description('Refuse a token from the next request on, and forget it.')
    .action(async (name: string, _, command: Command) =>
      finish(await (await load()).revokeToken({ ...optionsOf(command), name }, output)),
    );
}

function actions(value: string, before: readonly TokenAction[] | undefined): readonly TokenAction[] {
  const named = value.split(',').map((each) => each.trim());
  const known = named.map((each) => TOKEN_ACTIONS.find((action) => action === each));
  const wrong = known.indexOf(undefined);
  if (wrong !== -1) {
    throw new InvalidArgumentError(
      `Found ${JSON.stringify(named[wrong])}; expected some of ${TOKEN_ACTIONS.join(', ')}.`,
    );
  }
  return [...new Set([...(before ?? []), ...known.filter((action) => action !== undefined)])];
}

const USERS_HELP = `
Examples:
  entrepot users add alice                         asks for the password
  pass show mirror/alice | entrepot users add alice --password-stdin
  entrepot users disable alice                     refused from the next request on, with their tokens
  entrepot users list --json

What a user may do, the rules of the configuration say (access.rules): docs/access.md. The running server makes the change;
if none runs, the command makes it in the cache directory. Exit codes: 0 success, 1 failure, 2 wrong command line.`;

const TOKENS_HELP = `
Examples:
  entrepot tokens create ci --on 'ghcr.io/ours/**' --expires 30d
  entrepot tokens create laptop --user alice       with the rules of alice, for as long as she may log in
  entrepot tokens create ci | docker login mirror.example.com -u ci --password-stdin
  entrepot tokens revoke ci

A token is given where a password is asked for, with any user name, or as Authorization: Bearer. Scopes narrow what the rules
for token:NAME, or for the user of --user, allow; they allow nothing by themselves.`;
