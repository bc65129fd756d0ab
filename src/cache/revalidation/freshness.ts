import { compileGlob } from '../../lib/index.ts';
import type { Repository } from '../../oci/index.ts';
import { isCurrent } from '../time-span.ts';

/** How long a tag is served without asking its upstream. */
export interface FreshnessOptions {
  /** Milliseconds; 0 asks every time. @default 600_000 */
  readonly freshFor?: number;
  /**
   * For each key, the first rule decides that sets it and whose pattern matches `registry/repository:tag`, e.g.
   * `docker.io/library/*:latest`.
   */
  readonly rules?: readonly TagRule[];
}

interface TagRule {
  readonly match: string;
  /** Milliseconds. */
  readonly freshFor?: number | undefined;
  /** Milliseconds that a digest must be known before clients get it by the tag. */
  readonly cooldown?: number | undefined;
}

const DEFAULT_FRESH_FOR = 600_000;

/** Gives for a tag the milliseconds that it stays fresh after an upstream confirmed it. */
export type Freshness = (repository: Repository, tag: string) => number;

/** Compiles the patterns once, so that a lookup only matches. */
export function createFreshness(options: FreshnessOptions): Freshness {
  return firstOf(options.rules, 'freshFor', options.freshFor ?? DEFAULT_FRESH_FOR);
}

/** Gives for a tag the milliseconds that a digest must be known before clients get it by the tag; 0: none. */
export type Cooldown = (repository: Repository, tag: string) => number;

/** Compiles the patterns once, so that a lookup only matches. */
export function createCooldown({ rules }: Pick<FreshnessOptions, 'rules'>): Cooldown {
  return firstOf(rules, 'cooldown', 0);
}

function firstOf(
  all: readonly TagRule[] = [],
  key: 'freshFor' | 'cooldown',
  otherwise: number,
): (repository: Repository, tag: string) => number {
  const rules = all.flatMap(({ match, [key]: value }) =>
    value === undefined ? [] : [{ matches: compileGlob(match), value }],
  );
  if (rules.length === 0) return () => otherwise;
  return ({ registry, repository }, tag) => {
    const name = `${registry}/${repository}:${tag}`;
    return rules.find((rule) => rule.matches(name))?.value ?? otherwise;
  };
}

/** True while an answer confirmed at `checkedAt` is fresh. Milliseconds. */
export function isFresh(checkedAt: number, freshFor: number, now: number): boolean {
  return isCurrent({ since: checkedAt, until: checkedAt + freshFor }, now);
}
