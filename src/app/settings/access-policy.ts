import type { PolicySpec } from '../../access/index.ts';
import type { AccountRules } from '../../admin/index.ts';
import { type Config, isPrincipalName } from '../../config/index.ts';
import type { Repository } from '../../oci/index.ts';
import { type Catalogue, parseRepositoryPattern } from '../../routing/index.ts';

type AccessConfig = NonNullable<Config['access']>;

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

/** `ghcr.io/owner/app`, `mirror:github/path`: the registry is the first component. */
export function splitRepository(text: string): Repository {
  const slash = text.indexOf('/');
  return { registry: text.slice(0, slash), repository: text.slice(slash + 1) };
}
