/**
 * When a stored answer is checked again, and what is served meanwhile: freshness, back-off, coalescing, negative cache.
 *
 * Tags and URLs share these rules. This room knows neither: it never fetches, stores or serves anything itself.
 */

export { BackOff, type Failure } from './back-off.ts';
export { NegativeCache } from './negative-cache.ts';
export { UnresponsiveRegistries } from './unresponsive.ts';
