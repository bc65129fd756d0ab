import { compileGlob } from '../../lib/index.ts';
import type { Repository } from '../../oci/index.ts';

/** How long a tag may be answered from the cache without asking its upstream. */
export interface FreshnessOptions {
  /** Milliseconds; 0 asks every time. @default 600_000 */
  readonly freshFor?: number;
  /** The first whose pattern matches `registry/repository:tag` decides, e.g. `docker.io/library/*:latest`. */
  readonly rules?: readonly { readonly match: string; readonly freshFor: number }[];
}

const DEFAULT_FRESH_FOR = 600_000;

/** Says for each tag how many milliseconds it stays fresh after an upstream confirmed it. */
export type Freshness = (repository: Repository, tag: string) => number;

/** Compiles the rules once, so that asking costs no more than matching. */
export function createFreshness(options: FreshnessOptions): Freshness {
  const otherwise = options.freshFor ?? DEFAULT_FRESH_FOR;
  const rules = (options.rules ?? []).map((rule) => ({ matches: compileGlob(rule.match), freshFor: rule.freshFor }));
  if (rules.length === 0) return () => otherwise;
  return ({ registry, repository }, tag) => {
    const name = `${registry}/${repository}:${tag}`;
    return rules.find((rule) => rule.matches(name))?.freshFor ?? otherwise;
  };
}

/**
 * True while what an upstream said at `checkedAt` still holds.
 *
 * A time in the future means that the clock was set back since: then nothing is known, and the upstream is asked.
 */
export function isFresh(checkedAt: number, freshFor: number, now: number): boolean {
  return checkedAt <= now && now - checkedAt < freshFor;
}
