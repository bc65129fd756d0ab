import { OPERATIONS, type TokensAnswer } from '../../../admin/index.ts';
import { parseDuration } from '../../../config/index.ts';
import type { CommandOptions } from '../../command.ts';
import { EXIT } from '../../exit-code.ts';
import { formatTable } from '../../format.ts';
import { type Output, processOutput } from '../../output.ts';
import { formatTime, formatWarnings, runAccountCommand } from './account-command.ts';
import type { TokenAction } from './token-action.ts';

/** Long enough for a robot, and short enough that a token that was forgotten ends. */
const DEFAULT_EXPIRY = '90d';
const NEVER = 'never';

export interface TokenOptions extends CommandOptions {
  readonly name: string;
}

export interface CreateTokenOptions extends TokenOptions {
  /** The user whom it acts for. */
  readonly user?: string;
  /** A duration, or `never`. @default 90d */
  readonly expires?: string;
  /** @default pull */
  readonly may?: readonly TokenAction[];
  readonly on?: readonly string[];
}

/** `entrepot tokens create`: the token goes to standard output, and all else that is said to standard error. */
export function createToken(options: CreateTokenOptions, output: Output = processOutput): Promise<number> {
  const { name, user, expires = DEFAULT_EXPIRY, may = ['pull'], on = [] } = options;
  const lifetime = expires === NEVER ? undefined : parseDuration(expires);
  if (expires !== NEVER && (lifetime === undefined || lifetime <= 0)) {
    output.err(
      `error: --expires ${expires} is no time; expected a duration such as 90d or 12h, of at most a hundred years, or never\n`,
    );
    return Promise.resolve(EXIT.usage);
  }
  const expiresAt = lifetime === undefined ? undefined : Date.now() + lifetime;
  return runAccountCommand(
    options,
    {
      operation: OPERATIONS.tokenCreate,
      input: { name, owner: user, may, on, expiresAt },
      data: (answer) => ({ ...answer, may, ...(expiresAt !== undefined && { expiresAt }) }),
      text: ({ token }) => `${token}\n`,
      aside(answer) {
        const until =
          expiresAt === undefined ? 'valid until it is revoked' : `valid until ${formatTime(expiresAt)} UTC`;
        return (
          `token:${answer.name} is ${until}, for ${scopeText(may, answer.on)}${user === undefined ? '' : `, acting for ${user}`}.\n` +
          `It is shown this once. To log in: docker login HOST -u ${answer.name} --password-stdin\n${formatWarnings(answer.warnings)}`
        );
      },
    },
    output,
  );
}

/** `entrepot tokens revoke`. */
export function revokeToken(options: TokenOptions, output: Output = processOutput): Promise<number> {
  return runAccountCommand(
    options,
    {
      operation: OPERATIONS.tokenRevoke,
      input: { name: options.name },
      text: ({ name }) => `Revoked token:${name}. It is refused from now on.\n`,
    },
    output,
  );
}

/** `entrepot tokens list`. */
export function listTokens(options: CommandOptions, output: Output = processOutput): Promise<number> {
  return runAccountCommand(options, { operation: OPERATIONS.tokens, input: {}, text: formatTokens }, output);
}

export function formatTokens({ tokens }: TokensAnswer): string {
  if (tokens.length === 0) return 'There are no tokens. `entrepot tokens create NAME` creates one.\n';
  const rows = tokens.map(({ name, owner = '', state, may, on, createdAt, expiresAt, usedAt }) => [
    name,
    owner,
    state,
    formatTime(createdAt),
    formatTime(expiresAt),
    formatTime(usedAt),
    scopeText(may, on),
  ]);
  const head = ['NAME', 'ACTS FOR', 'STATE', 'CREATED (UTC)', 'EXPIRES', 'LAST USE', 'SCOPES'];
  return `${formatTable([head, ...rows]).join('\n')}\n`;
}

function scopeText(may: readonly string[], on: readonly string[]): string {
  return `${may.join(', ')}${on.length === 0 ? '' : ` on ${on.join(', ')}`}`;
}
