import { PIECE, type Pieces } from '../../lib/index.ts';
import type { Need } from './needs.ts';

const ANONYMOUS = 'anonymous';

/** Repositories of one namespace from which on a pattern for all of the namespace is suggested. */
const FEW = 3;

/** Times are milliseconds since the epoch. */
export interface SuggestedPattern {
  readonly pattern: string;
  readonly requests: number;
  /** Of these, requests that only audit mode let through. */
  readonly audited: number;
  readonly lastAt: number;
  /** The repositories that a generalized pattern stands for; undefined for an exact one. */
  readonly repositories?: number | undefined;
  /** Set where the last refusal is younger than the last answer: the rules may have been narrowed on purpose. */
  readonly refusedAt?: number | undefined;
}

export interface SuggestedRule {
  readonly who: readonly string[];
  readonly may: readonly string[];
  /** Empty for actions that concern no repository. */
  readonly on: readonly SuggestedPattern[];
  /** Set for what `anonymous` pulls of private repositories. */
  readonly private?: true;
  readonly requests: number;
  readonly audited: number;
  readonly lastAt: number;
}

/** What was refused, and is in no suggested rule. */
export interface RefusedNeed {
  readonly principal: string;
  readonly action: string;
  /** Empty for an action that concerns no repository. */
  readonly target: string;
  readonly requests: number;
  readonly lastAt: number;
}

export interface Suggestion {
  readonly rules: readonly SuggestedRule[];
  /** Most frequent first. */
  readonly refused: readonly RefusedNeed[];
  /** Answered requests that no rule can be made for, and why. */
  readonly left: readonly (RefusedNeed & { readonly reason: string })[];
}

export interface SuggestOptions {
  /** Whether `registry/namespace/**` may stand for many repositories. @default exact patterns only */
  readonly generalize?: boolean;
  /** Why no rule can name a principal or a target; undefined where one can. @default rules can name all */
  readonly faultOf?: (need: Pick<Need, 'principal' | 'action' | 'target'>) => string | undefined;
  /** Whether `anonymous` needs `private: true` to pull a repository. @default for none */
  readonly isPrivate?: (target: string) => boolean;
}

/** What a principal needs: for each pattern the actions. */
interface Wanted {
  readonly pattern: SuggestedPattern;
  readonly isPrivate: boolean;
  readonly may: Set<string>;
}

/**
 * The rules that allow every answered request of a time, and nothing else beyond their patterns. Pure.
 *
 * Patterns are exact, unless they are to be generalized: then three or more repositories of one namespace that a principal
 * pulled become `registry/namespace/**`, except where that would allow what was refused to it. What every client may pull by
 * a rule for `anonymous` is left out of the rules for users.
 */
export function* suggestRules(needs: readonly Need[], options: SuggestOptions = {}): Pieces<Suggestion> {
  const { faultOf = () => undefined, isPrivate = () => false } = options;
  const left: Suggestion['left'][number][] = [];
  const refused = new Refused();
  const answered = new Map<string, Need[]>();
  const open = new Set<string>();
  const granted = new Set<string>();
  for (const [at, need] of needs.entries()) {
    if (at % PIECE === 0) yield;
    if (need.answered === 0) {
      refused.add(need);
      continue;
    }
    granted.add(keyOf(need));
    const fault = faultOf(need);
    if (fault !== undefined) {
      left.push({ ...shown(need), reason: fault });
      continue;
    }
    // A rule that opens private repositories to every client may not be wanted: users keep theirs beside it.
    if (isOpenToAll(need) && !isPrivate(need.target)) open.add(keyOf(need));
    const own = answered.get(need.principal);
    if (own === undefined) answered.set(need.principal, [need]);
    else own.push(need);
  }
  const openPulls = pullsOf(answered.get(ANONYMOUS) ?? []);
  const rules: SuggestedRule[] = [];
  for (const [principal, all] of answered) {
    const own = principal === ANONYMOUS ? all : all.filter((need) => !open.has(keyOf(need)));
    const wanted = yield* wantedBy(own, { ...options, isRefused: refused.of(principal) });
    left.push(...addLists(own, wanted, { openPulls: principal === ANONYMOUS ? [] : openPulls }));
    rules.push(...rulesFor(principal, own, wanted));
    yield;
  }
  const joined = joinedRules(rules).toSorted(byOrder);
  yield;
  return { rules: joined, refused: refused.list(granted).toSorted(byRequests), left: left.toSorted(byRequests) };
}

/** What was refused and never answered. */
class Refused {
  readonly #needs: Need[] = [];
  readonly #namespaces = new Map<string, Set<string>>();
  readonly #everywhere = new Set<string>();

  add(need: Need): void {
    this.#needs.push(need);
    const namespace = namespaceOf(need);
    this.#everywhere.add(namespace);
    const own = this.#namespaces.get(need.principal);
    if (own === undefined) this.#namespaces.set(need.principal, new Set([namespace]));
    else own.add(namespace);
  }

  /** Whether something of a namespace was refused to those whom a rule is for: one for anonymous is for every client. */
  of(principal: string): (namespace: string) => boolean {
    const refused = principal === ANONYMOUS ? this.#everywhere : this.#namespaces.get(principal);
    return (namespace) => refused?.has(namespace) === true;
  }

  /** Most clients ask without a login first, and log in when they are refused: what a user got is not listed for anonymous. */
  list(granted: ReadonlySet<string>): readonly RefusedNeed[] {
    return this.#needs
      .filter((need) => need.principal !== ANONYMOUS || !granted.has(keyOf(need)))
      .map(({ principal, action, target, denied, deniedAt = 0 }) => ({
        principal,
        action,
        target,
        requests: denied,
        lastAt: deniedAt,
      }));
  }
}

/** Whether a rule for `anonymous` serves every client: not where it was refused to anonymous clients since. */
function isOpenToAll({ principal, answeredAt, deniedAt }: Need): boolean {
  return principal === ANONYMOUS && !isRefusedSince({ answeredAt, deniedAt });
}

function isRefusedSince({ answeredAt, deniedAt }: Pick<Need, 'answeredAt' | 'deniedAt'>): boolean {
  return (deniedAt ?? 0) > (answeredAt ?? 0);
}

function keyOf({ action, target }: Pick<Need, 'action' | 'target'>): string {
  return `${action} ${target}`;
}

function pullsOf(needs: readonly Need[]): readonly Need[] {
  return needs.filter(({ action, target }) => action !== 'catalog' && target !== '');
}

interface WantedOptions extends SuggestOptions {
  /** Whether something of a namespace was refused and never answered. */
  readonly isRefused: (namespace: string) => boolean;
}

/** The patterns of one principal, by pattern. */
function* wantedBy(own: readonly Need[], options: WantedOptions): Pieces<Map<string, Wanted>> {
  const { generalize = false, isRefused, isPrivate = () => false } = options;
  const wanted = new Map<string, Wanted>();
  const put = (pattern: SuggestedPattern, { action, isPrivate }: { action: string; isPrivate: boolean }): void => {
    const key = `${isPrivate} ${pattern.pattern}`;
    const found = wanted.get(key);
    if (found === undefined) wanted.set(key, { pattern, isPrivate, may: new Set([action]) });
    else {
      found.may.add(action);
      wanted.set(key, { ...found, pattern: added(found.pattern, pattern) });
    }
  };
  const namespaces = new Map<string, Need[]>();
  for (const [at, need] of pullsOf(own).entries()) {
    if (at > 0 && at % PIECE === 0) yield;
    const needsPrivate = need.principal === ANONYMOUS && isPrivate(need.target);
    const namespace = namespaceOf(need);
    // A pattern for a namespace would open private repositories that are not there yet.
    if (!generalize || needsPrivate || namespace === need.action || isRefused(namespace)) {
      put(patternOf(need), { action: need.action, isPrivate: needsPrivate });
      continue;
    }
    const group = namespaces.get(namespace);
    if (group === undefined) namespaces.set(namespace, [need]);
    else group.push(need);
  }
  for (const [key, group] of namespaces) {
    const [action = '', namespace = ''] = key.split('\n');
    const patterns = group.length < FEW ? group.map(patternOf) : [generalized(`${namespace}/**`, group)];
    for (const pattern of patterns) put(pattern, { action, isPrivate: false });
  }
  return wanted;
}

/** `pull` and `ghcr.io/ours`, for what a pattern of the namespace matches; else the action alone. */
function namespaceOf({ action, target }: Need): string {
  const [registry = '', namespace, rest] = target.split('/', 3);
  return namespace === undefined || rest === undefined || namespace === ''
    ? action
    : `${action}\n${registry}/${namespace}`;
}

function patternOf(need: Need): SuggestedPattern {
  const { target, answered, audited, answeredAt = 0, deniedAt } = need;
  return {
    pattern: target,
    requests: answered,
    audited,
    lastAt: answeredAt,
    ...(isRefusedSince(need) && { refusedAt: deniedAt }),
  };
}

function generalized(pattern: string, group: readonly Need[]): SuggestedPattern {
  const one = group.map(patternOf).reduce(added);
  return { ...one, pattern, repositories: group.length };
}

function added(one: SuggestedPattern, other: SuggestedPattern): SuggestedPattern {
  const refusedAt = Math.max(one.refusedAt ?? 0, other.refusedAt ?? 0);
  return {
    ...one,
    requests: one.requests + other.requests,
    audited: one.audited + other.audited,
    lastAt: Math.max(one.lastAt, other.lastAt),
    ...(refusedAt > 0 && { refusedAt }),
  };
}

/**
 * A list of a registry's repositories shows those that a rule with `catalog` names: here the ones that the principal pulls of
 * it. Returns the lists for which there are none.
 */
function addLists(
  own: readonly Need[],
  wanted: Map<string, Wanted>,
  { openPulls }: { readonly openPulls: readonly Need[] },
): Suggestion['left'] {
  const left: Suggestion['left'][number][] = [];
  for (const need of own.filter(({ action }) => action === 'catalog')) {
    const inRegistry = (pattern: string): boolean => pattern.startsWith(`${need.target}/`);
    const ofOthers = openPulls.filter(({ target }) => inRegistry(target));
    for (const each of ofOthers) {
      const key = `false ${each.target}`;
      const pattern = { ...patternOf(each), requests: 0, audited: 0 };
      if (!wanted.has(key)) wanted.set(key, { pattern, isPrivate: false, may: new Set() });
    }
    const listed = [...wanted.values()].filter(({ pattern }) => inRegistry(pattern.pattern));
    for (const { may } of listed) may.add('catalog');
    if (listed.length === 0) {
      left.push({ ...shown(need), reason: 'a rule that may catalog names repositories, and none was pulled' });
    }
  }
  return left;
}

function rulesFor(principal: string, own: readonly Need[], wanted: Map<string, Wanted>): SuggestedRule[] {
  const rules: SuggestedRule[] = [];
  const groups = Map.groupBy(wanted.values(), ({ may, isPrivate }) => `${isPrivate} ${[...may].sort().join(' ')}`);
  for (const group of groups.values()) {
    const [first] = group;
    const on = group.map(({ pattern }) => pattern).toSorted((a, b) => compareTexts(a.pattern, b.pattern));
    rules.push({
      who: [principal],
      may: orderedActions(first?.may ?? new Set()),
      on,
      ...(first?.isPrivate === true && { private: true as const }),
      ...sumOf(on),
    });
  }
  const alone = own.filter(({ target }) => target === '');
  if (alone.length > 0) {
    const sums = sumOf(alone.map(patternOf));
    rules.push({ who: [principal], may: orderedActions(new Set(alone.map(({ action }) => action))), on: [], ...sums });
  }
  return rules;
}

/** One rule for the principals that need the same. */
function joinedRules(rules: readonly SuggestedRule[]): SuggestedRule[] {
  const groups = Map.groupBy(rules, ({ may, on, private: isPrivate = false, who }) =>
    // A rule for anonymous says by itself whom it concerns.
    JSON.stringify([who[0] === ANONYMOUS, may, isPrivate, on.map(({ pattern }) => pattern)]),
  );
  return [...groups.values()].map((group) => {
    const [first] = group as [SuggestedRule];
    const on = first.on.map((_, at) => group.map((rule) => rule.on[at] as SuggestedPattern).reduce(added));
    const who = group.flatMap((rule) => rule.who).toSorted(compareTexts);
    return { ...first, who, on, ...sumOf(group) };
  });
}

type Sums = Pick<SuggestedRule, 'requests' | 'audited' | 'lastAt'>;

function sumOf(counted: readonly Sums[]): Sums {
  return {
    requests: counted.reduce((sum, { requests }) => sum + requests, 0),
    audited: counted.reduce((sum, { audited }) => sum + audited, 0),
    lastAt: counted.reduce((last, { lastAt }) => Math.max(last, lastAt), 0),
  };
}

function shown({ principal, action, target, answered, answeredAt = 0 }: Need): RefusedNeed {
  return { principal, action, target, requests: answered, lastAt: answeredAt };
}

const ACTIONS = ['pull', 'catalog', 'push', 'delete', 'status', 'admin', 'proxy'];

function orderedActions(actions: ReadonlySet<string>): readonly string[] {
  return [...actions].toSorted((a, b) => ACTIONS.indexOf(a) - ACTIONS.indexOf(b));
}

/** Rules for every client first; then by principal. */
function byOrder(one: SuggestedRule, other: SuggestedRule): number {
  const forAll = Number(other.who[0] === ANONYMOUS) - Number(one.who[0] === ANONYMOUS);
  return (
    forAll ||
    compareTexts(one.who.join(' '), other.who.join(' ')) ||
    Number(one.private === true) - Number(other.private === true) ||
    Number(one.on.length === 0) - Number(other.on.length === 0) ||
    compareTexts(one.may.join(' '), other.may.join(' '))
  );
}

function byRequests(one: RefusedNeed, other: RefusedNeed): number {
  return (
    other.requests - one.requests ||
    compareTexts(one.principal, other.principal) ||
    compareTexts(keyOf(one), keyOf(other))
  );
}

function compareTexts(one: string, other: string): number {
  return one < other ? -1 : Number(one > other);
}
