import type { Accounts, Guard, KnownPrincipals, Tokens } from '../../access/index.ts';
import type { AccountRules } from '../../admin/index.ts';
import type { Config } from '../../config/index.ts';
import type { Catalogue } from '../../routing/index.ts';
import { policyOf } from './access-policy.ts';
import { readAccounts } from './accounts.ts';
import { SettingsError } from './error.ts';
import { loadGuard, loadUpstream } from './lazy.ts';

interface GuardParts {
  readonly catalogue: Catalogue;
  /** Stored users and tokens; undefined where none can be. */
  readonly accounts: (() => Promise<Accounts>) | undefined;
  /** The signed tokens of the process; made at the first configuration with rules. */
  readonly tokens: () => Promise<Tokens>;
  readonly onWarning: (message: string) => void;
}

/**
 * The guard of a configuration; undefined where there are no rules.
 *
 * @throws {SettingsError} for a file of users that cannot be read, or a pattern that can match nothing
 */
export async function guardOf(
  config: Config,
  { catalogue, accounts, tokens, onWarning }: GuardParts,
): Promise<Guard | undefined> {
  const { access } = config;
  if (access === undefined) return undefined;
  const { spec, problems } = policyOf(config, access, catalogue);
  if (problems.length > 0) throw new SettingsError(problems);
  const { Guard, HtpasswdError } = await loadGuard();
  const plainUser = plainUserOf(config);
  try {
    const { htpasswd, audit } = access;
    const parts = { accounts: await accounts?.(), tokens: await tokens(), onWarning };
    const guard = await Guard.open({ ...spec, audit, htpasswd, plainUser, ...parts });
    if (plainUser !== undefined && guard.configuredUsers.filter(({ name }) => name === plainUser.name).length > 1) {
      throw new SettingsError([`forward_proxy.user: ${plainUser.name} is in ${htpasswd} too; remove one of the two`]);
    }
    return guard;
  } catch (error) {
    if (!(error instanceof HtpasswdError)) throw error;
    throw new SettingsError(error.problems.map((problem) => `access.htpasswd: ${problem}`));
  }
}

/** A password of the forward proxy is that of a user. Read at each use, so that a rotated secret takes effect at once. */
function plainUserOf({
  forwardProxy: { user, password },
}: Config): { name: string; password: () => Promise<string> } | undefined {
  if (user === undefined || password === undefined) return undefined;
  return {
    name: user,
    password: async () => {
      const { readSecret } = await loadUpstream();
      return readSecret(password);
    },
  };
}

/**
 * Checks what `access:` names, as a start does.
 *
 * @returns whom rules can be for; undefined where there are no rules
 * @throws {SettingsError}
 */
export async function checkAccess(config: Config, catalogue: Catalogue): Promise<KnownPrincipals | undefined> {
  const guard = await guardOf(config, { catalogue, accounts: undefined, tokens: newTokens, onWarning: () => {} });
  if (guard === undefined) return undefined;
  const { users } = guard.known;
  const stored = await readAccounts(config);
  const { tokens, isComplete, fault } = stored;
  // A start would end with it.
  if (fault?.isOfReader === false) throw new SettingsError([`access: ${fault.message}`]);
  return { users: [...stored.users.map(({ name }) => name), ...users], tokens, isComplete, unread: fault?.message };
}

/** The users that the configuration has itself; none where they cannot be read. */
export async function configuredUsersOf(config: Config, catalogue: Catalogue): Promise<AccountRules['others']> {
  try {
    const guard = await guardOf(config, { catalogue, accounts: undefined, tokens: newTokens, onWarning: () => {} });
    return guard?.configuredUsers ?? [];
  } catch (error) {
    if (error instanceof SettingsError) return [];
    throw error;
  }
}

async function newTokens(): Promise<Tokens> {
  return new (await loadGuard()).Tokens();
}
