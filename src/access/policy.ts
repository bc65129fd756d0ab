import { compileGlob } from '../lib/index.ts';
import type { Repository } from '../oci/index.ts';
import { type AccessRequest, type Action, needsIdentity } from './gate.ts';
import { nameOf, type Principal } from './principal.ts';

/** A rule as it is configured; its patterns are canonical: `registry/repository` or `mirror:NAME/path`. */
export interface RuleSpec {
  /** `anonymous` (every client), `@group`, the name of a user, or `token:NAME`. */
  readonly who: readonly string[];
  readonly may: readonly Action[];
  /** Patterns of what `pull`, `catalog`, `push` and `delete` concern: `*` within one component, `**` across. */
  readonly on: readonly string[];
  /** True: what the rule allows every client covers private repositories too. @default false */
  readonly private?: boolean;
}

export interface PolicySpec {
  readonly groups: Readonly<Record<string, readonly string[]>>;
  readonly rules: readonly RuleSpec[];
}

interface Rule {
  readonly everyone: boolean;
  /** Users by their name, tokens as `token:NAME`: no user has a colon in the name. */
  readonly members: ReadonlySet<string>;
  readonly may: ReadonlySet<Action>;
  readonly on: readonly Pattern[];
  readonly coversPrivate: boolean;
}

/** The rule that allows a request. */
export interface Ruling {
  /** Its index. */
  readonly rule: number;
  /** True where it allows it only if the repository is public, and no other rule allows it otherwise. */
  readonly onlyPublic: boolean;
}

export interface Pattern {
  readonly isMirror: boolean;
  readonly matches: (text: string) => boolean;
}

/** Actions that concern a repository, and so only the patterns under `on`. */
const ON_REPOSITORIES: ReadonlySet<Action> = new Set<Action>(['pull', 'catalog', 'push', 'delete']);
const MIRROR = 'mirror:';

/** The rules. Their union decides: what no rule allows is refused. Pure. */
export class Policy {
  readonly #rules: readonly Rule[];

  constructor({ groups, rules }: PolicySpec) {
    this.#rules = rules.map(({ who, may, on, private: coversPrivate = false }) => ({
      everyone: who.includes('anonymous'),
      members: new Set(who.flatMap((name) => (name.startsWith('@') ? membersOf(groups, name.slice(1)) : [name]))),
      may: new Set(may),
      on: on.map(compilePattern),
      coversPrivate,
    }));
  }

  /** The first rule that allows a request without a condition, or else the first that allows it; undefined where none does. */
  decide({ principal, action, repository }: AccessRequest): Ruling | undefined {
    // Whatever the rules say: a rule for every client is not meant for pushes.
    if (needsIdentity(action) && principal.kind === 'anonymous') return undefined;
    let conditional: Ruling | undefined;
    for (let at = 0; at < this.#rules.length; at += 1) {
      const rule = this.#rules[at] as Rule;
      if (!rule.may.has(action) || !concerns(rule, principal) || !covers(rule, action, repository)) continue;
      // What is for every client is public, unless the rule says otherwise; what names a user is theirs to see.
      const onlyPublic = ON_REPOSITORIES.has(action) && !rule.coversPrivate && !names(rule, principal);
      if (!onlyPublic) return { rule: at, onlyPublic };
      conditional ??= { rule: at, onlyPublic };
    }
    return conditional;
  }

  /** Whether any rule lets a principal do this to some repository: whether a list may be read at all, to be filtered. */
  mayAnywhere(principal: Principal, action: Action): boolean {
    return this.#rules.some((rule) => rule.may.has(action) && concerns(rule, principal));
  }
}

/** `Object.hasOwn`: a group called `constructor` is no property of every object. */
function membersOf(groups: PolicySpec['groups'], name: string): readonly string[] {
  return Object.hasOwn(groups, name) ? (groups[name] ?? []) : [];
}

/** A rule for `anonymous` is for every client: to log in takes nothing away. */
function concerns({ everyone, members }: Pick<Rule, 'everyone' | 'members'>, principal: Principal): boolean {
  return everyone || names({ members }, principal);
}

function names({ members }: Pick<Rule, 'members'>, principal: Principal): boolean {
  return principal.kind !== 'anonymous' && members.has(nameOf(principal));
}

export function compilePattern(text: string): Pattern {
  return { isMirror: text.startsWith(MIRROR), matches: compileGlob(text) };
}

/** Whether the patterns cover what an action concerns. */
export function covers({ on }: Pick<Rule, 'on'>, action: Action, repository: Repository | undefined): boolean {
  if (!ON_REPOSITORIES.has(action)) return true;
  if (repository === undefined || repository.repository === '') return false;
  const text = `${repository.registry}/${repository.repository}`;
  const isMirror = repository.registry.startsWith(MIRROR);
  // `**` is every repository and no mirror route: a route is named, as for a purge.
  return on.some((pattern) => pattern.isMirror === isMirror && pattern.matches(text));
}
