import { OPERATIONS, type UsersAnswer } from '../../../admin/index.ts';
import type { CommandOptions } from '../../command.ts';
import { EXIT } from '../../exit-code.ts';
import { count, formatJson, formatTable } from '../../format.ts';
import { type Output, processOutput } from '../../output.ts';
import { formatTime, runAccountCommand, showWarnings } from './account-command.ts';
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
  const { flags, json, name } = options;
  const read = await passwordOf(options, output);
  if (typeof read === 'number') return read;
  return runAccountCommand(
    {
      flags,
      operation: OPERATIONS.userAdd,
      input: { name, ...read },
      show(answer) {
        output.out(json ? formatJson(answer) : `Added ${answer.name}.\n`);
        if (!json) showWarnings(answer.warnings, output);
        return EXIT.ok;
      },
    },
    output,
  );
}

/** `entrepot users passwd`. */
export async function changePassword(options: PasswordCommandOptions, output: Output = processOutput): Promise<number> {
  const { flags, json, name } = options;
  const read = await passwordOf(options, output);
  if (typeof read === 'number') return read;
  return runAccountCommand(
    {
      flags,
      operation: OPERATIONS.userPasswd,
      input: { name, ...read },
      show(answer) {
        output.out(
          json ? formatJson(answer) : `Changed the password of ${answer.name}. The old one is refused from now on.\n`,
        );
        return EXIT.ok;
      },
    },
    output,
  );
}

/** `entrepot users disable` and `enable`. */
export function switchUser(
  { flags, json, name, disabled }: UserOptions & { readonly disabled: boolean },
  output: Output = processOutput,
): Promise<number> {
  return runAccountCommand(
    {
      flags,
      operation: disabled ? OPERATIONS.userDisable : OPERATIONS.userEnable,
      input: { name },
      show(answer) {
        const now = answer.changed ? 'is' : 'was already';
        const effect = disabled ? 'disabled, and refused with all tokens' : 'enabled';
        output.out(json ? formatJson(answer) : `${answer.name} ${now} ${effect}.\n`);
        return EXIT.ok;
      },
    },
    output,
  );
}

/** `entrepot users remove`. */
export function removeUser({ flags, json, name }: UserOptions, output: Output = processOutput): Promise<number> {
  return runAccountCommand(
    {
      flags,
      operation: OPERATIONS.userRemove,
      input: { name },
      show(answer) {
        const { tokens } = answer;
        const more =
          tokens.length === 0 ? '' : ` and ${count(tokens.length, 'token')} of theirs (${tokens.join(', ')})`;
        output.out(json ? formatJson(answer) : `Removed ${answer.name}${more}.\n`);
        return EXIT.ok;
      },
    },
    output,
  );
}

/** `entrepot users list`. */
export function listUsers({ flags, json }: CommandOptions, output: Output = processOutput): Promise<number> {
  return runAccountCommand(
    {
      flags,
      operation: OPERATIONS.users,
      input: {},
      show(answer) {
        output.out(json ? formatJson(answer) : formatUsers(answer));
        return EXIT.ok;
      },
    },
    output,
  );
}

const PLACES: Readonly<Record<string, string>> = { htpasswd: 'access.htpasswd', forward_proxy: 'forward_proxy.user' };

export function formatUsers({ users }: UsersAnswer): string {
  if (users.length === 0) return 'There are no users. `entrepot users add NAME` adds one.\n';
  const rows = users.map(({ name, from, disabled, createdAt, passwordAt }) => {
    const times = createdAt === undefined ? ['', ''] : [formatTime(createdAt), formatTime(passwordAt)];
    return [name, disabled ? 'disabled' : 'enabled', PLACES[from] ?? from, ...times];
  });
  return `${formatTable([['NAME', 'STATE', 'KEPT IN', 'CREATED (UTC)', 'PASSWORD SET'], ...rows]).join('\n')}\n`;
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
