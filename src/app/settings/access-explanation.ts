import { type AccessRequest, type Action, ANONYMOUS, type Principal, type Ruling } from '../../access/index.ts';
import { type Config, isReachable } from '../../config/index.ts';
import { HostingRules } from '../../hosting/index.ts';
import { anonymousViewsOf, isKnownTo, type Repository } from '../../oci/index.ts';
import { type Catalogue, parseImagePattern } from '../../routing/index.ts';
import { policyOf, splitRepository } from './access-policy.ts';
import { readAccounts } from './accounts.ts';
import { SettingsError } from './error.ts';
import { loadGuard } from './lazy.ts';
import { mirrorSpecOf } from './sites.ts';
import { transportOf } from './transport.ts';

const TOKEN = 'token:';
const MIRROR = 'mirror:';

/** What is asked of the rules. */
export interface Question {
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
  /** The token that was asked about, where none of this name is stored: the rules answer as if it were. */
  readonly missing: string | undefined;
  /** What could not be looked at, and so is left out of the answer, with the remedy. */
  readonly unread: string | undefined;
  /** The question with the qualified name of the image. */
  readonly text: string;
}

/** There is nothing to explain: the configuration is right and has no `access`. The message says what clients may do then. */
export class NoRulesError extends Error {
  override readonly name = 'NoRulesError';
}

/** Says which rule decides, without a server. @throws {NoRulesError} without `access`. @throws {SettingsError} also for a damaged file of stored users. @throws {OciError} for a name that no image has */
export async function explainAccess(config: Config, catalogue: Catalogue, question: Question): Promise<Explanation> {
  const { access } = config;
  if (access === undefined) {
    const isWriting = question.action === 'push' || question.action === 'delete';
    const open = `${isReachable(config) ? 'what is public, and nothing private' : 'everything'}${isWriting ? ', and push and delete nothing' : ''}`;
    throw new NoRulesError(
      `The configuration has no access:, so no rule decides: clients may pull ${open}. To have rules, set access.rules: docs/access.md`,
    );
  }
  const { spec, problems } = policyOf(config, access, catalogue);
  if (problems.length > 0) throw new SettingsError(problems);
  const { Policy } = await loadGuard();
  const { who, action, image } = question;
  const repository = image === undefined ? undefined : repositoryOf(image, catalogue);
  const judged = await judgedOf(who, { action, repository }, config);
  const { principal, missing, unread } = judged;
  const refusal = judged.refusal ?? faultOfChange(question, repository, catalogue);
  const ruling = new Policy(spec).decide({ principal, action, repository });
  const what = repository === undefined ? '' : ` on ${repository.registry}/${repository.repository}`;
  const owner = who.startsWith(TOKEN) && principal.kind === 'user' ? `, which acts for ${principal.name}` : '';
  const verdict =
    refusal === undefined ? verdictOf(ruling, () => visibilityOf(repository, config, catalogue)) : ('refused' as const);
  return { verdict, rule: ruling?.rule, refusal, missing, unread, text: `${action}${what} by ${who}${owner}` };
}

/** Why something cannot be pushed or deleted, whatever the rules say. */
function faultOfChange(
  { who, action }: Question,
  repository: Repository | undefined,
  catalogue: Catalogue,
): string | undefined {
  if ((action !== 'push' && action !== 'delete') || repository === undefined) return undefined;
  if (who === 'anonymous') return `only a user or token may ${action}; log in`;
  if (new HostingRules(catalogue.list()).homeOf(repository) !== 'mirrored') return undefined;
  return `${repository.registry}/${repository.repository} is mirrored, and neither hosted here nor pushed through; set hosted or push under registries.${repository.registry}`;
}

/** The principal whose rules decide, and what refuses it before them: see `Guard`. */
async function judgedOf(
  who: string,
  asked: Omit<AccessRequest, 'principal'>,
  config: Config,
): Promise<{
  readonly principal: Principal;
  readonly refusal?: string | undefined;
  readonly missing?: string | undefined;
  readonly unread?: string | undefined;
}> {
  if (who === 'anonymous') return { principal: ANONYMOUS };
  const stored = await readAccounts(config);
  const { fault } = stored;
  // A start would end with it.
  if (fault?.isOfReader === false) throw new SettingsError([`access: ${fault.message}`]);
  const unread = fault?.message;
  const isDisabled = (user: string): boolean => stored.users.find(({ name }) => name === user)?.disabled === true;
  if (!who.startsWith(TOKEN)) {
    return {
      principal: { kind: 'user', name: who },
      refusal: isDisabled(who) ? `${who} is disabled` : undefined,
      unread,
    };
  }
  const name = who.slice(TOKEN.length);
  const principal: Principal = { kind: 'token', name };
  const token = stored.tokens.find((each) => each.name === name);
  if (token === undefined) return { principal, missing: unread === undefined ? name : undefined, unread };
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
  const homes = new HostingRules(catalogue.list());
  return (target) => {
    const repository = splitRepository(target);
    const ruling = policy.decide({ principal: ANONYMOUS, action: 'pull', repository });
    if (ruling === undefined || ruling.onlyPublic) return 'public';
    if (homes.homeOf(repository) === 'here') return 'private';
    const known = visibilities.get(repository.registry) ?? visibilityOf(repository, config, catalogue);
    visibilities.set(repository.registry, known);
    return known;
  };
}

/** What the configuration alone says of a repository; the same for all of a registry that are not hosted. */
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
  // What is pushed here is nowhere else, so no upstream could say that it is public.
  if (repository !== undefined && new HostingRules(catalogue.list()).homeOf(repository) === 'here') return 'private';
  const spec = catalogue.byName(registry);
  const views = spec === undefined ? [] : anonymousViewsOf(spec);
  if (views === undefined) return 'private';
  return views.length === 0 ? 'public' : 'unknown';
}

function repositoryOf(image: string, catalogue: Catalogue): Repository {
  const isMirror = image.startsWith(MIRROR);
  const text = isMirror ? image : (parseImagePattern(catalogue, image).repository ?? image);
  return splitRepository(text);
}
