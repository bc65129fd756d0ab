import type { KnownPrincipals } from '../../access/index.ts';
import type { Config } from '../../config/index.ts';

type Rule = NonNullable<Config['access']>['rules'][number];

/** What is probably not meant: users without a rule, names that cannot log in, patterns that an earlier rule covers. */
export function accessFaultsOf({ access, forwardProxy }: Config, known: KnownPrincipals): readonly string[] {
  if (access === undefined) return [];
  const { rules, groups } = access;
  const faults =
    known.unread === undefined ? [] : [`access: the rules are not compared with stored users. ${known.unread}`];
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
/** What other programs call every client. */
const EVERY_CLIENT: ReadonlySet<string> = new Set(['*', '**', 'all', 'any', 'everyone', 'public']);

/** Why a rule for a user or token has no effect. */
function faultOfPrincipal(name: string, { users, tokens, isComplete }: KnownPrincipals): string | undefined {
  if (!name.startsWith(TOKEN)) {
    if (users.includes(name)) return undefined;
    if (EVERY_CLIENT.has(name.toLowerCase()))
      return `${name} would be the name of a user; did you mean anonymous, which stands for every client?`;
    if (!isComplete) return undefined;
    return `${name} cannot log in: there is no such user; add it with \`entrepot users add ${name}\`, or to access.htpasswd`;
  }
  const short = name.slice(TOKEN.length);
  const token = tokens.find((each) => each.name === short);
  if (token?.owner !== undefined) return `${name} acts for ${token.owner}, whose rules decide; name ${token.owner}`;
  if (token !== undefined || !isComplete) return undefined;
  return `there is no token called ${short}; create it with \`entrepot tokens create ${short}\``;
}

/** Patterns that an earlier rule for the same principals covers word for word, or by `**`. */
function shadowedIn(rules: readonly Rule[]): readonly string[] {
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
function isWider(one: Rule, other: Rule): boolean {
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
