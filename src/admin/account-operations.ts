import * as z from 'zod';
import { AccountError, type Accounts } from '../access/index.ts';
import type { Operation } from './operation.ts';

/** What the rules have to do with a user or token. */
export interface AccountRules {
  /** Whether the configuration has `access:`. */
  readonly isConfigured: boolean;
  /** The users that the configuration has itself. */
  readonly others: readonly { readonly name: string; readonly from: 'htpasswd' | 'forward_proxy' }[];
  /** Whether a rule names a principal, itself or by a group: `alice`, `token:ci`. */
  readonly isNamed: (principal: string) => boolean;
  /** The canonical form of a pattern of repositories, and why it matches nothing. */
  readonly patternOf: (text: string) => { readonly pattern: string; readonly fault: string | undefined };
}

/** What the operations on users and tokens act on. */
export interface AccountContext {
  /** Rejects where they cannot be stored. */
  readonly accounts: () => Promise<Accounts>;
  readonly accountRules: () => AccountRules | Promise<AccountRules>;
}

/** Longer names and passwords are refused below, with a message; longer inputs need no message of their own. */
const text = (what: string) =>
  z.string({ error: `expected ${what}` }).max(1024, `expected ${what} of up to 1024 characters`);
const name = text('a name');
const password = text('a password');
const names = z.array(z.string()).readonly();
const named = z.object({ name });
const warnings = names.describe('What makes it useless so far, with the remedy.');
const time = z.number().describe('Milliseconds since 1970.');

const usersAnswer = z.object({
  users: z
    .array(
      z.object({
        name: z.string(),
        from: z.string().describe('`stored`, or where the configuration has it: `htpasswd`, `forward_proxy`.'),
        disabled: z.boolean(),
        unused: z
          .boolean()
          .exactOptional()
          .describe('True: a stored user has the name, so that this one has no effect.'),
        createdAt: time.exactOptional(),
        passwordAt: time.exactOptional().describe('When the password was last set.'),
      }),
    )
    .readonly(),
});
export type UsersAnswer = z.infer<typeof usersAnswer>;

const users: Operation<object, UsersAnswer, AccountContext> = {
  name: 'users',
  summary: 'The stored and the configured users',
  action: 'admin',
  changes: false,
  input: z.object({}),
  answer: usersAnswer,
  async handle(_, { accounts, accountRules }) {
    const kept = await accounts();
    const stored = kept.users.map((user) => ({
      name: user.name,
      from: 'stored',
      disabled: user.disabled,
      createdAt: user.createdAt,
      passwordAt: user.passwordAt,
    }));
    const { others } = await accountRules();
    const configured = others.map((user) => ({
      ...user,
      disabled: false,
      ...(kept.user(user.name) !== undefined && { unused: true }),
    }));
    return { users: [...stored, ...configured] };
  },
};

const userAdded = z.object({ name: z.string(), warnings });

const userAdd: Operation<{ name: string; password: string }, z.infer<typeof userAdded>, AccountContext> = {
  name: 'users/add',
  summary: 'Add a user',
  action: 'admin',
  changes: true,
  input: z.object({ name, password }),
  answer: userAdded,
  async handle(user, { accounts, accountRules }) {
    const rules = await accountRules();
    const other = rules.others.find((each) => each.name === user.name);
    if (other !== undefined)
      throw new AccountError(`${takenBy(other.from, user.name)}; choose another name, or remove it there`);
    await (await accounts()).addUser(user.name, user.password);
    return { name: user.name, warnings: warningsOf(rules, user.name) };
  },
};

const userPasswd: Operation<{ name: string; password: string }, { name: string }, AccountContext> = {
  name: 'users/passwd',
  summary: 'Set the password of a user',
  action: 'admin',
  changes: true,
  input: z.object({ name, password }),
  answer: named,
  async handle(user, { accounts }) {
    await (await accounts()).setPassword(user.name, user.password);
    return { name: user.name };
  },
};

const switched = z.object({ name: z.string(), changed: z.boolean().describe('False: it was so already.') });

const switching = (disabled: boolean): Operation<{ name: string }, z.infer<typeof switched>, AccountContext> => ({
  name: disabled ? 'users/disable' : 'users/enable',
  summary: disabled ? 'Refuse a user, and the tokens that act for them' : 'Let a disabled user in again',
  action: 'admin',
  changes: true,
  input: named,
  answer: switched,
  async handle({ name }, { accounts }) {
    return { name, changed: await (await accounts()).setDisabled(name, disabled) };
  },
});

const userRemoved = z.object({ name: z.string(), tokens: names.describe('The tokens that acted for the user.') });

const userRemove: Operation<{ name: string }, z.infer<typeof userRemoved>, AccountContext> = {
  name: 'users/remove',
  summary: 'Remove a user, and revoke the tokens that act for them',
  action: 'admin',
  changes: true,
  input: named,
  answer: userRemoved,
  async handle({ name }, { accounts }) {
    return { name, tokens: await (await accounts()).removeUser(name) };
  },
};

const tokensAnswer = z.object({
  tokens: z
    .array(
      z.object({
        name: z.string(),
        owner: z.string().exactOptional().describe('The user whom it acts for; absent for a token of its own.'),
        may: names,
        on: names.describe('Empty: every repository that the rules allow.'),
        createdAt: time,
        expiresAt: time.exactOptional().describe('Absent: never.'),
        usedAt: time.exactOptional().describe('The last use, to the minute; absent: none.'),
        state: z.string().describe('`valid`, `expired`, or `disabled` with its user.'),
      }),
    )
    .readonly(),
});
export type TokensAnswer = z.infer<typeof tokensAnswer>;

const tokens: Operation<object, TokensAnswer, AccountContext> = {
  name: 'tokens',
  summary: 'The tokens, with their owners, scopes and last use',
  action: 'admin',
  changes: false,
  input: z.object({}),
  answer: tokensAnswer,
  async handle(_, context) {
    const accounts = await context.accounts();
    return {
      tokens: accounts.tokens.map(({ name, owner, may, on, createdAt, expiresAt, usedAt }) => ({
        name,
        ...(owner !== undefined && { owner }),
        may,
        on,
        createdAt,
        ...(expiresAt !== undefined && { expiresAt }),
        ...(usedAt !== undefined && { usedAt }),
        state: stateOf(accounts, { name, expiresAt }),
      })),
    };
  },
};

/** Patterns of one token. */
const MAX_PATTERNS = 100;
/** As rules have them. */
const TOKEN_ACTIONS = ['pull', 'catalog', 'push', 'delete', 'status', 'admin', 'proxy'] as const;
const ON_REPOSITORIES: readonly string[] = ['pull', 'catalog', 'push', 'delete'];

const tokenInput = z.object({
  name,
  owner: name.optional(),
  may: z
    .array(z.enum(TOKEN_ACTIONS, { error: `expected some of ${TOKEN_ACTIONS.join(', ')}` }))
    .min(1, `expected at least one of ${TOKEN_ACTIONS.join(', ')}`)
    .readonly(),
  on: z.array(text('a pattern')).max(MAX_PATTERNS, `expected at most ${MAX_PATTERNS} patterns`).readonly().default([]),
  expiresAt: z.number({ error: 'expected a time in milliseconds' }).optional(),
});

const tokenCreated = z.object({
  name: z.string(),
  token: z.string().describe('The secret. It is stored nowhere.'),
  on: names.describe('The patterns, completed.'),
  warnings,
});

const tokenCreate: Operation<z.infer<typeof tokenInput>, z.infer<typeof tokenCreated>, AccountContext> = {
  name: 'tokens/create',
  summary: 'Create a token; its text is in this answer alone',
  action: 'admin',
  changes: true,
  input: tokenInput,
  answer: tokenCreated,
  async handle({ name, owner, may, on, expiresAt }, { accounts, accountRules }) {
    if (on.length > 0 && !may.some((action) => ON_REPOSITORIES.includes(action))) {
      throw new AccountError(
        `patterns narrow pull, catalog, push and delete, and this token is for ${may.join(' and ')}; leave them out`,
      );
    }
    if (expiresAt !== undefined && expiresAt <= Date.now())
      throw new AccountError('the token would have expired already');
    const rules = await accountRules();
    const patterns = on.map((pattern) => canonical(rules, pattern));
    const token = await (await accounts()).createToken({
      name,
      owner,
      may: [...new Set(may)],
      on: patterns,
      expiresAt,
    });
    return { name, token, on: patterns, warnings: warningsOf(rules, owner ?? `token:${name}`) };
  },
};

const tokenRevoke: Operation<{ name: string }, { name: string }, AccountContext> = {
  name: 'tokens/revoke',
  summary: 'Revoke a token',
  action: 'admin',
  changes: true,
  input: named,
  answer: named,
  async handle({ name }, { accounts }) {
    await (await accounts()).revokeToken(name);
    return { name };
  },
};

/** The operations on stored users and tokens. */
export const ACCOUNT_OPERATIONS = {
  users,
  userAdd,
  userPasswd,
  userDisable: switching(true),
  userEnable: switching(false),
  userRemove,
  tokens,
  tokenCreate,
  tokenRevoke,
};

function takenBy(from: 'htpasswd' | 'forward_proxy', name: string): string {
  return from === 'htpasswd'
    ? `the file of access.htpasswd has a user called ${name}`
    : `forward_proxy.user is ${name}`;
}

function warningsOf({ isConfigured, isNamed }: AccountRules, principal: string): readonly string[] {
  if (!isConfigured) {
    return ['the configuration has no access:, so no client is asked for a user; add rules, see docs/access.md'];
  }
  if (isNamed(principal)) return [];
  return [`no rule names ${principal}, who may do only what anonymous may; add a rule under access.rules`];
}

function canonical({ patternOf }: AccountRules, text: string): string {
  const { pattern, fault } = patternOf(text);
  if (fault !== undefined) throw new AccountError(`${JSON.stringify(text)} matches nothing: ${fault}`);
  return pattern;
}

function stateOf(
  accounts: Accounts,
  { name, expiresAt }: { readonly name: string; readonly expiresAt: number | undefined },
) {
  if (accounts.token(name) !== undefined) return 'valid';
  return expiresAt !== undefined && expiresAt <= Date.now() ? 'expired' : 'disabled';
}
