/**
 * When a stored answer is checked again, and what is served meanwhile: freshness, staleness, back-off, coalescing,
 * negative cache. Tags and URLs share these rules.
 *
 * It knows neither: it never fetches, stores or serves anything itself.
 */

export type { Asked, OriginFailed } from './flight.ts';
export {
  type Cooldown,
  createCooldown,
  createFreshness,
  type Freshness,
  type FreshnessOptions,
  isFresh,
} from './freshness.ts';
export { NegativeCache } from './negative-cache.ts';
export { type Answering, type Question, Revalidation, type RevalidationKey } from './revalidation.ts';
