import { ConcurrencyLimit } from '../../lib/index.ts';
import type { Digest, Repository } from '../../oci/index.ts';
import type { MetadataStore } from '../../store/index.ts';
import { isPattern, MAX_SELECTED, type Selection, selectRepositories, selectTags } from '../metadata/index.ts';
import type { RefreshedTag } from './tags.ts';

export interface RefreshTools {
  readonly metadata: MetadataStore;
  /** Asks the upstream; rejects where it does not tell. */
  readonly refreshTag: (repository: Repository, tag: string) => Promise<RefreshedTag>;
  /** Aborts between two tags. */
  readonly signal?: AbortSignal | undefined;
}

/** What became of one tag. */
export interface Refreshed {
  readonly repository: Repository;
  readonly tag: string;
  /** What it pointed to; undefined: nothing was known of it. */
  readonly before: Digest | undefined;
  /** What it points to; undefined where the upstream did not say. */
  readonly after: Digest | undefined;
  /** Why it could not be refreshed. */
  readonly error: string | undefined;
}

/** Tags asked for at once. */
const AT_ONCE = 4;

/**
 * Asks the upstreams where tags point to now: the known ones that a pattern fits, and one that is named whole even where
 * nothing is known of it. A tag that fails is told of and holds up no other.
 */
export async function refresh(
  selections: readonly Selection[],
  { metadata, refreshTag, signal }: RefreshTools,
): Promise<readonly Refreshed[]> {
  const wanted = new Map<string, { readonly repository: Repository; readonly tag: string }>();
  for (const selection of selections) {
    for (const repository of await selectRepositories(selection, metadata)) {
      const { tag } = selection;
      const tags =
        tag === undefined || isPattern(tag)
          ? (await selectTags(repository, selection, metadata)).map((entry) => entry.tag)
          : [tag];
      for (const each of tags) {
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
          return { repository, tag, ...(await refreshTag(repository, tag)), error: undefined };
        } catch (error) {
          const message = error instanceof Error ? error.message : String(error);
          return { repository, tag, before: undefined, after: undefined, error: message };
        }
      }),
    ),
  );
}
