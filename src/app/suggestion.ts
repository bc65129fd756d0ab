import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Observed } from '../access/index.ts';
import type { SuggestAnswer, SuggestInput } from '../admin/index.ts';
import type { Config } from '../config/index.ts';
import { inTurns } from '../lib/index.ts';
import type { Catalogue } from '../routing/index.ts';
import type { MetadataStore } from '../store/index.ts';
import { loadGuard, privateGrantsOf, readAccounts, ruleFaultIn, splitRepository } from './settings/index.ts';

/** Patterns in an answer: as many as the control socket carries, however long their names are. */
const MAX_PATTERNS = 15_000;
/** Requests listed one by one that no rule is suggested for. */
const MAX_LISTED = 200;

interface SuggestionParts {
  readonly config: Config;
  readonly catalogue: Catalogue;
  /** Knows which repositories are public. */
  readonly metadata: Pick<MetadataStore, 'getPublic'>;
  /** Undefined where nothing is observed. */
  readonly observations: Observed | undefined;
  /** Milliseconds since the epoch. @default now */
  readonly now?: number;
}

/** The rules that the requests of a time would have needed. */
export async function suggestAccess(
  { within, generalize }: SuggestInput,
  { config, catalogue, metadata, observations, now = Date.now() }: SuggestionParts,
): Promise<SuggestAnswer> {
  const { access } = config;
  if (access === undefined || observations === undefined) return { observed: null, audit: access?.audit ?? false };
  const { needsOf, suggestRules } = await loadGuard();
  const from = now - within;
  const { needs, unnamed } = await needsOf(observations.store, {
    since: from,
    ruledAs: await ownersOf(config),
    unwritten: observations.unwritten,
  });
  const faultOf = ruleFaultIn(config, catalogue);
  const privates = await privateTargets(needs, { config, catalogue, metadata });
  const isPrivate = (target: string): boolean => privates.has(target);
  const { rules, refused, left } = await inTurns(suggestRules(needs, { generalize, faultOf, isPrivate }));
  const kept = firstPatterns(rules, MAX_PATTERNS);
  return {
    audit: access.audit,
    observed: {
      since: observations.store.since,
      from,
      to: now,
      rules: kept.rules,
      cut: kept.cut,
      refused: refused.slice(0, MAX_LISTED),
      refusedCount: refused.length,
      left: left.slice(0, MAX_LISTED),
      leftCount: left.length,
      unnamed,
    },
  };
}

/**
 * The user for whom an observed token acts: the rules of the user decide, and one that names the token would have no effect. A
 * token that is gone stands for itself.
 */
async function ownersOf(config: Config): Promise<(principal: string) => string> {
  const stored = await readAccounts(config);
  const owners = new Map(stored.tokens.map(({ name, owner }) => [`token:${name}`, owner]));
  return (principal) => owners.get(principal) ?? principal;
}

/** Targets looked up at a time, after which the event loop turns. */
const PIECE = 256;

/** What clients without a login pulled, that they may only by a rule with `private: true`. */
async function privateTargets(
  needs: readonly { readonly principal: string; readonly action: string; readonly target: string }[],
  { config, catalogue, metadata }: Pick<SuggestionParts, 'config' | 'catalogue' | 'metadata'>,
): Promise<ReadonlySet<string>> {
  const found = new Set<string>();
  const grantOf = await privateGrantsOf(config, catalogue);
  const pulls = needs.filter(({ principal, action }) => principal === 'anonymous' && action === 'pull');
  for (const [at, { target }] of pulls.entries()) {
    if (at % PIECE === PIECE - 1) await nextTurn();
    const visibility = grantOf(target);
    const isKnown = visibility === 'unknown' && (await metadata.getPublic(splitRepository(target))) !== undefined;
    if (visibility === 'private' || (visibility === 'unknown' && !isKnown)) found.add(target);
  }
  return found;
}

type Rules = NonNullable<SuggestAnswer['observed']>['rules'];

function firstPatterns(rules: Rules, most: number): { readonly rules: Rules; readonly cut: number } {
  const kept: Rules[number][] = [];
  let room = most;
  let cut = 0;
  for (const rule of rules) {
    const on = rule.on.slice(0, room);
    room -= on.length;
    cut += rule.on.length - on.length;
    if (on.length > 0 || rule.on.length === 0) kept.push({ ...rule, on });
  }
  return { rules: kept, cut };
}
