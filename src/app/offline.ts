import type { ListQuery, Origin, OriginFailure, OriginList, Repository } from '../oci/index.ts';
import type { Storage } from './storage.ts';

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

/** What is stored of a list; undefined where that says nothing. */
export type ListOfStored = (
  repository: Repository,
  query: ListQuery,
) => Promise<Pick<OriginList, 'bytes' | 'mediaType' | 'next' | 'filtersApplied'> | undefined>;

/**
 * The upstreams of a registry that are not asked: everything of them fails, and what is stored is served.
 *
 * @param listOf what is stored of tags and referrers. @default lists fail too, as they must where they would say that a repository is public
 */
export function offlineOrigin(registry: string, listOf?: ListOfStored): Origin {
  const refuse = (): Promise<never> => Promise.reject(new OfflineError(registry));
  return {
    headManifest: refuse,
    getManifest: refuse,
    headBlob: refuse,
    openBlob: refuse,
    upstreamsOf: () => [],
    locateBlob: refuse,
    async list(repository, query) {
      const found = await listOf?.(repository, query);
      if (found === undefined) return refuse();
      return { ...found, upstream: 'offline', visibility: 'private' };
    },
  };
}

/** Made at the first list: a start does not load what reads them. */
export function listsOf({ store, metadata }: Pick<Storage, 'store' | 'metadata'>): ListOfStored {
  let lists: Promise<{ readonly list: ListOfStored }> | undefined;
  return async (repository, query) => {
    lists ??= import('../bundle/index.ts').then(({ StoredLists }) => new StoredLists({ metadata, blobs: store }));
    return (await lists).list(repository, query);
  };
}
