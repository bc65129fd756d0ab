import type { PullThroughOptions } from '../../cache/index.ts';
import type { Config } from '../../config/index.ts';
import { freeSpace } from '../../store/index.ts';

/** What the cache is told besides where to find things. */
export function cacheOptionsOf(
  config: Config,
): Omit<PullThroughOptions, 'origin' | 'store' | 'metadata' | 'telemetry' | 'now'> {
  if (config.cache === 'off') return { keep: false };
  const { dir, tags, on_range, max_size, min_free, pin, platforms, not_found_for, verify_after, manifests_in_memory } =
    config.cache;
  return {
    keep: true,
    tags:
      tags === 'never'
        ? 'never'
        : {
            freshFor: tags.fresh_for,
            rules: tags.rules.map(({ match, fresh_for }) => ({ match, freshFor: fresh_for })),
            staleAfter: tags.stale_after,
            staleOnNotFound: tags.stale_on_not_found,
          },
    onRange: on_range,
    maxSize: max_size,
    minFree: min_free,
    disk: () => freeSpace(dir),
    pin,
    platforms,
    notFoundFor: not_found_for,
    verifyAfter: verify_after,
    manifestMemory: manifests_in_memory,
  };
}
