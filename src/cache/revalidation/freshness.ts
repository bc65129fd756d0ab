import { compileGlob } from '../../lib/index.ts';
import type { Repository } from '../../oci/index.ts';
import { isCurrent } from '../time-span.ts';

/** How long a tag is served without asking its upstream. */
export interface FreshnessOptions {
  /** Milliseconds; 0 asks every time. @default 600_000 */
  readonly freshFor?: number;
  /** The first rule whose pattern matches `registry/repository:tag` decides, e.g. `docker.io/library/*:latest`. */
  readonly rules?: readonly { readonly match: string; readonly freshFor: number }[];
}

const DEFAULT_FRESH_FOR = 600_000;

/** Gives for a tag the milliseconds that it stays fresh after an upstream confirmed it. */
export type Freshness = (repository: Repository, tag: string) => number;

/** Compiles the patterns once, so that a lookup only matches. */
export function createFreshness(options: FreshnessOptions): Freshness {
  const otherwise = options.freshFor ?? DEFAULT_FRESH_FOR;
  const rules = (options.rules ?? []).map((rule) => ({ matches: compileGlob(rule.match), freshFor: rule.freshFor }));
  if (rules.length === 0) return () => otherwise;
  return ({ registry, repository }, tag) => {
    const name = `${registry}/${repository}:${tag}`;
    return rules.find((rule) => rule.matches(name))?.freshFor ?? otherwise;
  };
}

/** True while an answer confirmed at `checkedAt` is fresh. Milliseconds. */
export function isFresh(checkedAt: number, freshFor: number, now: number): boolean {
  return isCurrent({ since: checkedAt, until: checkedAt + freshFor }, now);
}
