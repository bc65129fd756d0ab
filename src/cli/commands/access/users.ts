import { OPERATIONS, type UsersAnswer } from '../../../admin/index.ts';
import type { CommandOptions } from '../../command.ts';
import { count, formatTable } from '../../format.ts';
import { type Output, processOutput } from '../../output.ts';
import { formatTime, formatWarnings, runAccountCommand } from './account-command.ts';
import { type PasswordInput, readPassword } from './password.ts';

export interface UserOptions extends CommandOptions {
  readonly name: string;
}

export interface PasswordCommandOptions extends UserOptions {
  readonly passwordStdin?: boolean;
  /** @default standard input */
  readonly input?: PasswordInput;
}

/** `entrepot users add`. */
export async function addUser(options: PasswordCommandOptions, output: Output = processOutput): Promise<number> {
  const read = await passwordOf(options, output);
  if (typeof read === 'number') return read;
  return runAccountCommand(
    options,
    {
      operation: OPERATIONS.userAdd,
      input: { name: options.name, ...read },
      text: ({ name }) => `Added ${name}.\n`,
      aside: ({ warnings }) => formatWarnings(warnings),
    },
    output,
  );
}

/** `entrepot users passwd`. */
export async function changePassword(options: PasswordCommandOptions, output: Output = processOutput): Promise<number> {
  const read = await passwordOf(options, output);
  if (typeof read === 'number') return read;
  return runAccountCommand(
    options,
    {
      operation: OPERATIONS.userPasswd,
      input: { name: options.name, ...read },
      text: ({ name }) => `Changed the password of ${name}. The old one is refused from now on.\n`,
    },
    output,
  );
}

/** `entrepot users disable` and `enable`. */
export function switchUser(
  options: UserOptions & { readonly disabled: boolean },
  output: Output = processOutput,
): Promise<number> {
  const { name, disabled } = options;
  const effect = disabled ? 'disabled, and refused with all tokens' : 'enabled';
  return runAccountCommand(
    options,
    {
      operation: disabled ? OPERATIONS.userDisable : OPERATIONS.userEnable,
      input: { name },
      text: (answer) => `${answer.name} ${answer.changed ? 'is' : 'was already'} ${effect}.\n`,
    },
    output,
  );
}

/** `entrepot users remove`. */
export function removeUser(options: UserOptions, output: Output = processOutput): Promise<number> {
  return runAccountCommand(
    options,
    {
      operation: OPERATIONS.userRemove,
      input: { name: options.name },
      text({ name, tokens }) {
        const more =
          tokens.length === 0 ? '' : ` and ${count(tokens.length, 'token')} of theirs (${tokens.join(', ')})`;
        return `Removed ${name}${more}.\n`;
      },
    },
    output,
  );
}

/** `entrepot users list`. */
export function listUsers(options: CommandOptions, output: Output = processOutput): Promise<number> {
  return runAccountCommand(
    options,
    { operation: OPERATIONS.users, input: {}, text: formatUsers, aside: formatUnused },
    output,
  );
}

const PLACES: Readonly<Record<string, string>> = { htpasswd: 'access.htpasswd', forward_proxy: 'forward_proxy.user' };

export function formatUsers({ users }: UsersAnswer): string {
  if (users.length === 0) return 'There are no users. `entrepot users add NAME` adds one.\n';
  const rows = users.map(({ name, from, disabled, unused = false, createdAt, passwordAt }) => {
    const times = createdAt === undefined ? ['', ''] : [formatTime(createdAt), formatTime(passwordAt)];
    return [name, unused ? 'no effect' : disabled ? 'disabled' : 'enabled', PLACES[from] ?? from, ...times];
  });
  return `${formatTable([['NAME', 'STATE', 'KEPT IN', 'CREATED (UTC)', 'PASSWORD SET'], ...rows]).join('\n')}\n`;
}

/** Why some have no effect. */
export function formatUnused({ users }: UsersAnswer): string {
  return formatWarnings(
    users
      .filter(({ unused }) => unused === true)
      .map(
        ({ name, from }) =>
          `${name} is a stored user, so ${PLACES[from] ?? from} has no effect for the name; remove one of the two`,
      ),
  );
}

async function passwordOf(
  { passwordStdin = false, input }: PasswordCommandOptions,
  output: Output,
): Promise<{ readonly password: string } | number> {
  const read = await readPassword({ fromStdin: passwordStdin, input, output });
  if ('password' in read) return read;
  output.err(`${read.message}\n`);
  return read.code;
}
