import { ConcurrencyLimit } from '../../lib/index.ts';
import type { Digest, OriginSource, Repository } from '../../oci/index.ts';
import type { MetadataStore } from '../../store/index.ts';
import { isPattern, MAX_SELECTED, type Selection, selectRepositories, selectTags } from '../metadata/index.ts';
import type { Tags } from './tags.ts';

export interface TagRefreshOptions {
  /** The upstreams of a registry, by its name; what it throws is the outcome of each of the registry's tags. */
  readonly originFor: (registry: string) => OriginSource;
  /** Why the tags of a repository have no upstream to ask, as their outcome; undefined: they have. @default every tag is asked for */
  readonly refusalOf?: ((repository: Repository) => string | undefined) | undefined;
  /** Aborts between two tags. */
  readonly signal?: AbortSignal | undefined;
}

interface RefreshTools extends TagRefreshOptions {
  readonly metadata: MetadataStore;
  readonly tags: Pick<Tags, 'refresh'>;
}

/** The result for one tag. */
export interface Refreshed {
  readonly repository: Repository;
  readonly tag: string;
  /** Where it pointed; undefined where it was not cached. */
  readonly before: Digest | undefined;
  /** Where it points; undefined where the upstream failed. */
  readonly after: Digest | undefined;
  /** Why it could not be refreshed. */
  readonly error: string | undefined;
}

/** Tags refreshed at once. */
const AT_ONCE = 4;

/**
 * Asks the upstreams where tags point to now: the cached tags that match a pattern, and a tag without a pattern whether it
 * is cached or not. A tag that fails is reported and delays no other.
 */
export async function refresh(
  selections: readonly Selection[],
  { metadata, tags, originFor, refusalOf, signal }: RefreshTools,
): Promise<readonly Refreshed[]> {
  const wanted = new Map<string, { readonly repository: Repository; readonly tag: string }>();
  for (const selection of selections) {
    for (const repository of await selectRepositories(selection, metadata)) {
      const { tag } = selection;
      const selected =
        tag === undefined || isPattern(tag)
          ? (await selectTags(repository, selection, metadata)).map((entry) => entry.tag)
          : [tag];
      for (const each of selected) {
        if (wanted.size < MAX_SELECTED) {
          wanted.set(`${repository.registry}/${repository.repository}:${each}`, { repository, tag: each });
        }
      }
    }
  }
  const limit = new ConcurrencyLimit(AT_ONCE);
  return Promise.all(
    [...wanted.values()].map(({ repository, tag }) =>
      limit.run(async () => {
        try {
          signal?.throwIfAborted();
          const refusal = refusalOf?.(repository);
          if (refusal !== undefined) return { repository, tag, before: undefined, after: undefined, error: refusal };
          return {
            repository,
            tag,
            ...(await tags.refresh(repository, tag, originFor(repository.registry))),
            error: undefined,
          };
        } catch (error) {
          const message = error instanceof Error ? error.message : String(error);
          return { repository, tag, before: undefined, after: undefined, error: message };
        }
      }),
    ),
  );
}
