import type { Origin, OriginFailure } from '../oci/index.ts';

/** No upstream is asked, as the configuration says `offline: true`. */
export class OfflineError extends Error implements OriginFailure {
  override readonly name = 'OfflineError';
  readonly kind = 'offline';
  readonly upstream: string;
  readonly retryAfter = undefined;

  /** @param upstream the registry, where it is known */
  constructor(upstream = 'offline') {
    super('this server is offline and asks no upstream');
    this.upstream = upstream;
  }
}

/** The upstreams of a registry that are not asked: everything of them fails, and what is stored is served. */
export function offlineOrigin(registry: string): Origin {
  const refuse = (): Promise<never> => Promise.reject(new OfflineError(registry));
  return {
    headManifest: refuse,
    getManifest: refuse,
    headBlob: refuse,
    openBlob: refuse,
    locateBlob: refuse,
    list: refuse,
  };
}
