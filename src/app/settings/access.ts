import {
  type AccessRequest,
  type Accounts,
  type Action,
  ANONYMOUS,
  type Guard,
  type KnownPrincipals,
  type PolicySpec,
  type Principal,
  type Ruling,
  type Tokens,
} from '../../access/index.ts';
import type { AccountRules } from '../../admin/index.ts';
import { type Config, isPrincipalName, isReachable } from '../../config/index.ts';
import { anonymousViewsOf, isKnownTo, type Repository } from '../../oci/index.ts';
import { type Catalogue, parseImagePattern, parseRepositoryPattern } from '../../routing/index.ts';
import type { OwnNames } from '../../server/index.ts';
import { readAccounts } from './accounts.ts';
import { SettingsError } from './error.ts';
import { loadGuard, loadUpstream } from './lazy.ts';
import { mirrorSpecOf } from './sites.ts';
import { transportOf } from './transport.ts';

type AccessConfig = NonNullable<Config['access']>;

interface GuardParts {
  readonly catalogue: Catalogue;
  /** Stored users and tokens; undefined where none can be. */
  readonly accounts: (() => Promise<Accounts>) | undefined;
  /** The signed tokens of the process; made at the first configuration with rules. */
  readonly tokens: () => Promise<Tokens>;
  readonly onWarning: (message: string) => void;
}

/** The names under which the server may send clients to itself. */
export function ownNamesOf({ publicUrl: publicUrls, domainSuffix }: Config): OwnNames {
  return { publicUrls, domainSuffix };
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

/** The rules with canonical patterns, and what is wrong with them. Pure. */
export function policyOf(
  { mirrors }: Pick<Config, 'mirrors'>,
  { groups, rules }: AccessConfig,
  catalogue: Catalogue,
): { readonly spec: PolicySpec; readonly problems: readonly string[] } {
  const problems: string[] = [];
  const routes = new Set(mirrors.map(({ name }) => name));
  const canonical = rules.map(({ on, ...rule }, at) => ({
    ...rule,
    on: on.map((text, index) => {
      const { pattern, fault } = parsePattern(text, { routes, catalogue });
      if (fault !== undefined)
        problems.push(`access.rules[${at}].on[${index}]: ${JSON.stringify(text)} matches nothing: ${fault}`);
      return pattern;
    }),
  }));
  return { spec: { groups, rules: canonical }, problems };
}

/** Says why no rule can name a principal or a target; undefined where one can. Pure. */
export function ruleFaultIn(
  { mirrors }: Pick<Config, 'mirrors'>,
  catalogue: Catalogue,
): (named: { readonly principal: string; readonly action: string; readonly target: string }) => string | undefined {
  const routes = new Set(mirrors.map(({ name }) => name));
  return ({ principal, action, target }) => {
    if (!isPrincipalName(principal)) return 'no rule can have this name under who; rename the user';
    if (target === '') return undefined;
    // A list is of all of its registry.
    return parsePattern(action === 'catalog' ? `${target}/**` : target, { routes, catalogue }).fault;
  };
}

function parsePattern(
  text: string,
  { routes, catalogue }: { readonly routes: ReadonlySet<string>; readonly catalogue: Catalogue },
): ReturnType<AccountRules['patternOf']> {
  const [, route, path] = /^mirror:([^/]*)(\/.*)?$/s.exec(text) ?? [];
  if (route === undefined) return parseRepositoryPattern(catalogue, text);
  const pattern = path === undefined ? `${text}/**` : text;
  if (/[*?]/.test(route) || routes.has(route)) return { pattern, fault: undefined };
  return { pattern, fault: `there is no mirror route called ${route}` };
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

/** What is probably not meant: users without a rule, names that cannot log in, patterns that an earlier rule covers. */
export function accessFaultsOf({ access, forwardProxy }: Config, known: KnownPrincipals): readonly string[] {
  if (access === undefined) return [];
  const { rules, groups } = access;
  const faults: string[] = [];
  const named = new Set<string>();
  const look = (name: string, option: string): void => {
    named.add(name);
    const fault = faultOfPrincipal(name, known);
    if (fault !== undefined) faults.push(`${option}: ${fault}`);
  };
  for (const [at, { who }] of rules.entries()) {
    for (const name of who) if (name !== 'anonymous' && !name.startsWith('@')) look(name, `access.rules[${at}].who`);
  }
  const usedGroups = new Set(rules.flatMap(({ who }) => who.filter((name) => name.startsWith('@'))));
  for (const [group, members] of Object.entries(groups)) {
    if (!usedGroups.has(`@${group}`))
      faults.push(`access.groups.${group}: no rule is for @${group}, so it has no effect`);
    for (const name of members) look(name, `access.groups.${group}`);
  }
  const robots = known.tokens.filter(({ owner }) => owner === undefined).map(({ name }) => `${TOKEN}${name}`);
  const without = [...new Set(known.users), ...robots].filter((name) => !named.has(name));
  const [first] = without;
  if (first !== undefined) {
    const option = first === forwardProxy.user ? 'forward_proxy.user' : 'access.rules';
    const more = without.length > 1 ? ` and ${without.length - 1} more` : '';
    faults.push(`${option}: no rule names ${first}${more}: they may do only what anonymous may`);
  }
  const seen = new Set<string>();
  const twice = known.users.find((name) => seen.size === seen.add(name).size);
  if (twice !== undefined) {
    const option = twice === forwardProxy.user ? 'forward_proxy.user' : 'access.htpasswd';
    faults.push(
      `${option}: ${twice} is a stored user too, whose password alone is valid; remove one of the two (entrepot users remove ${twice})`,
    );
  }
  return [...faults, ...shadowedIn(rules)];
}

const TOKEN = 'token:';

/** Why a rule for a user or token has no effect. */
function faultOfPrincipal(name: string, { users, tokens, isComplete }: KnownPrincipals): string | undefined {
  if (!name.startsWith(TOKEN)) {
    if (!isComplete || users.includes(name)) return undefined;
    return `${name} cannot log in: there is no such user; add it with \`entrepot users add ${name}\`, or to access.htpasswd`;
  }
  const short = name.slice(TOKEN.length);
  const token = tokens.find((each) => each.name === short);
  if (token?.owner !== undefined) return `${name} acts for ${token.owner}, whose rules decide; name ${token.owner}`;
  if (token !== undefined || !isComplete) return undefined;
  return `there is no token called ${short}; create it with \`entrepot tokens create ${short}\``;
}

/** What the rules have to do with a user or token. */
export function accountRulesOf(
  { access, mirrors }: Pick<Config, 'access' | 'mirrors'>,
  { catalogue, others }: { readonly catalogue: Catalogue; readonly others: AccountRules['others'] },
): AccountRules {
  const routes = new Set(mirrors.map(({ name }) => name));
  return {
    isConfigured: access !== undefined,
    others,
    isNamed: (principal) =>
      access?.rules.some(({ who }) =>
        who.some(
          (name) =>
            name === principal ||
            (name.startsWith('@') &&
              Object.entries(access.groups).some(
                ([group, members]) => `@${group}` === name && members.includes(principal),
              )),
        ),
      ) === true,
    patternOf: (text) => parsePattern(text, { routes, catalogue }),
  };
}

/** Patterns that an earlier rule for the same principals covers word for word, or by `**`. */
function shadowedIn(rules: AccessConfig['rules']): readonly string[] {
  const faults: string[] = [];
  for (const [at, rule] of rules.entries()) {
    for (const [index, text] of rule.on.entries()) {
      const earlier = rules.findIndex(
        (other, before) => before < at && isWider(other, rule) && other.on.some((wide) => coversText(wide, text)),
      );
      if (earlier === -1) continue;
      faults.push(`access.rules[${at}].on[${index}]: rule ${earlier + 1} allows ${text} already, so it has no effect`);
    }
  }
  return faults;
}

/** A rule for `anonymous` covers users too, and private repositories only where it says so. */
function isWider(one: AccessConfig['rules'][number], other: AccessConfig['rules'][number]): boolean {
  const isForAll = one.who.includes('anonymous');
  const covers = (name: string): boolean =>
    name === 'anonymous'
      ? isForAll && (one.private || !other.private)
      : one.who.includes(name) || (isForAll && one.private);
  return other.who.every(covers) && other.may.every((action) => one.may.includes(action));
}

function coversText(wide: string, text: string): boolean {
  if (wide === text) return true;
  if (wide === '**') return !text.startsWith('mirror:');
  return wide.endsWith('/**') && text.startsWith(wide.slice(0, -2)) && !/[*?]/.test(wide.slice(0, -3));
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
  if (stored === undefined) return { users, tokens: [], isComplete: false };
  return { users: [...stored.users.map(({ name }) => name), ...users], tokens: stored.tokens, isComplete: true };
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

interface Question {
  /** `anonymous`, the name of a user, or `token:NAME`; neither need exist. */
  readonly who: string;
  readonly action: Action;
  /** As in a pull, or `mirror:NAME/path`; undefined where the action concerns no repository. */
  readonly image: string | undefined;
}

/** What the rules say to a question. */
interface Explanation {
  /** With `if-public` the upstreams decide, by their answer to a request without a credential. */
  readonly verdict: 'allowed' | 'if-public' | 'refused';
  /** Index of the rule that decides; undefined where none allows it. */
  readonly rule: number | undefined;
  /** Why it is refused although a rule allows it, or before the rules are asked. */
  readonly refusal: string | undefined;
  /** The question with the qualified name of the image. */
  readonly text: string;
}

/** Says which rule decides, without a server. @throws {SettingsError} {OciError} for a name that no image has */
export async function explainAccess(config: Config, catalogue: Catalogue, question: Question): Promise<Explanation> {
  const { access } = config;
  if (access === undefined)
    throw new SettingsError([
      isReachable(config)
        ? 'access: found none, so there are no rules: clients may pull what is public, and nothing private'
        : 'access: found none, so there are no rules: clients may pull everything',
    ]);
  const { spec, problems } = policyOf(config, access, catalogue);
  if (problems.length > 0) throw new SettingsError(problems);
  const { Policy } = await loadGuard();
  const { who, action, image } = question;
  const repository = image === undefined ? undefined : repositoryOf(image, catalogue);
  const { principal, refusal } = await judgedOf(who, { action, repository }, config);
  const ruling = new Policy(spec).decide({ principal, action, repository });
  const what = repository === undefined ? '' : ` on ${repository.registry}/${repository.repository}`;
  const owner = who.startsWith(TOKEN) && principal.kind === 'user' ? `, which acts for ${principal.name}` : '';
  const verdict =
    refusal === undefined ? verdictOf(ruling, () => visibilityOf(repository, config, catalogue)) : ('refused' as const);
  return { verdict, rule: ruling?.rule, refusal, text: `${action}${what} by ${who}${owner}` };
}

/** The principal whose rules decide, and what refuses it before them: see `Guard`. */
async function judgedOf(
  who: string,
  asked: Omit<AccessRequest, 'principal'>,
  config: Config,
): Promise<{ readonly principal: Principal; readonly refusal?: string | undefined }> {
  if (who === 'anonymous') return { principal: ANONYMOUS };
  const stored = await readAccounts(config);
  const isDisabled = (user: string): boolean => stored?.users.find(({ name }) => name === user)?.disabled === true;
  if (!who.startsWith(TOKEN)) {
    return { principal: { kind: 'user', name: who }, refusal: isDisabled(who) ? `${who} is disabled` : undefined };
  }
  const name = who.slice(TOKEN.length);
  const principal: Principal = { kind: 'token', name };
  const token = stored?.tokens.find((each) => each.name === name);
  if (token === undefined) return { principal };
  const { isWithin, scopeOf } = await loadGuard();
  const { owner, may, on, expiresAt } = token;
  const narrowed = `${may.join(', ')}${on.length === 0 ? '' : ` on ${on.join(', ')}`}`;
  return {
    principal: owner === undefined ? principal : { kind: 'user', name: owner },
    refusal:
      expiresAt !== undefined && expiresAt <= Date.now()
        ? `the token has expired`
        : owner !== undefined && isDisabled(owner)
          ? `${owner} is disabled`
          : isWithin(scopeOf(token), asked)
            ? undefined
            : `the token is narrowed to ${narrowed}`,
  };
}

function verdictOf(
  ruling: Ruling | undefined,
  visibility: () => ReturnType<typeof visibilityOf>,
): Explanation['verdict'] {
  if (ruling === undefined) return 'refused';
  if (!ruling.onlyPublic) return 'allowed';
  return ({ public: 'allowed', private: 'refused', unknown: 'if-public' } as const)[visibility()];
}

/**
 * For a pattern that clients without a login used: whether the rules let them, although it may be private. `unknown` where the
 * upstreams would have to say whether it is.
 *
 * @throws {SettingsError}
 */
export async function privateGrantsOf(
  config: Config,
  catalogue: Catalogue,
): Promise<(target: string) => ReturnType<typeof visibilityOf>> {
  const { access } = config;
  if (access === undefined) return () => 'public';
  const { Policy } = await loadGuard();
  const policy = new Policy(policyOf(config, access, catalogue).spec);
  const visibilities = new Map<string, ReturnType<typeof visibilityOf>>();
  return (target) => {
    const repository = splitRepository(target);
    const ruling = policy.decide({ principal: ANONYMOUS, action: 'pull', repository });
    if (ruling === undefined || ruling.onlyPublic) return 'public';
    const known = visibilities.get(repository.registry) ?? visibilityOf(repository, config, catalogue);
    visibilities.set(repository.registry, known);
    return known;
  };
}

/** What the configuration alone says of a repository, which is the same for all of a registry. */
function visibilityOf(
  repository: Repository | undefined,
  config: Config,
  catalogue: Catalogue,
): 'public' | 'private' | 'unknown' {
  const { registry = '' } = repository ?? {};
  if (registry.startsWith(MIRROR)) {
    const route = config.mirrors.find(({ name }) => name === registry.slice(MIRROR.length));
    const isPrivate = route !== undefined && isKnownTo(mirrorSpecOf(route, transportOf(config)).upstream);
    return isPrivate ? 'private' : 'public';
  }
  const spec = catalogue.byName(registry);
  const views = spec === undefined ? [] : anonymousViewsOf(spec);
  if (views === undefined) return 'private';
  return views.length === 0 ? 'public' : 'unknown';
}

const MIRROR = 'mirror:';

function repositoryOf(image: string, catalogue: Catalogue): Repository {
  const isMirror = image.startsWith('mirror:');
  const text = isMirror ? image : (parseImagePattern(catalogue, image).repository ?? image);
  return splitRepository(text);
}

/** `ghcr.io/owner/app`, `mirror:github/path`: the registry is the first component. */
export function splitRepository(text: string): Repository {
  const slash = text.indexOf('/');
  return { registry: text.slice(0, slash), repository: text.slice(slash + 1) };
}
