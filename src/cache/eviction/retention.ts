import { compileGlob, keyOf } from '../../lib/index.ts';
import type { Digest } from '../../oci/index.ts';
import type { BlobStore, MetadataStore, TagEntry } from '../../store/index.ts';
import { addTree, coolingOf, isOver, PAGE, pages } from '../metadata/index.ts';
import { type Cooldown, type Freshness, isFresh } from '../revalidation/index.ts';

interface RetentionOptions {
  readonly freshness: Freshness;
  /** Patterns of `registry/repository:tag`. */
  readonly pin: readonly string[];
  readonly now: () => number;
}

/** Retains the images of tags that are fresh or pinned. */
export function retentionRule({ freshness, pin, now }: RetentionOptions): (tag: TagEntry) => boolean {
  const pins = pin.map(compileGlob);
  return ({ repository, tag, record }) => {
    if (isFresh(record.checkedAt, freshness(repository, tag), now())) return true;
    const name = `${repository.registry}/${repository.repository}:${tag}`;
    return pins.some((matches) => matches(name));
  };
}

/** The most digests retained: some 40 MB. An image has about twenty. */
const MAX_RETAINED = 200_000;

interface RetainedOptions {
  readonly metadata: MetadataStore;
  readonly store: BlobStore;
  /** Milliseconds since the epoch. */
  readonly now: number;
  /** Milliseconds that a digest must be known before clients get it by a tag. @default none */
  readonly cooldown?: Cooldown | undefined;
  /** See {@link retentionRule}. */
  readonly isRetained: (tag: TagEntry) => boolean;
}

/**
 * The digests that a sweep must not evict: everything that held, pinned and retained tags lead to, down to the layers. A client that
 * has just pulled an index comes back for the rest.
 */
export async function retainedDigests(options: RetainedOptions): Promise<ReadonlySet<Digest>> {
  const { metadata, store, isRetained, now, cooldown = () => 0 } = options;
  const retained = new Set<Digest>();
  for (const { hold } of await metadata.listHolds()) {
    if (!isOver(hold, now)) await addTree(hold, { store, into: retained, limit: MAX_RETAINED });
  }
  const pinned = new Set((await metadata.listPins()).map(nameOf));
  const list = (after: TagEntry | undefined) => metadata.listTags({ after, limit: PAGE });
  for await (const page of pages(list)) {
    for (const tag of page) {
      if (isRetained(tag) || (pinned.size > 0 && pinned.has(nameOf(tag))))
        await addTree(tag.record, { store, into: retained, limit: MAX_RETAINED });
      // Until the new digest is old enough, clients get the one before.
      const wait = cooldown(tag.repository, tag.tag);
      if (wait === 0) continue;
      const moves = await metadata.listMoves(tag.repository, tag.tag);
      const aged = coolingOf(moves, { current: tag.record.digest, cooldown: wait, now })?.aged;
      if (aged === undefined) continue;
      await addTree(aged, { store, into: retained, limit: MAX_RETAINED });
      // Without the new manifest, the tag could not be answered while its upstream is down.
      retained.add(tag.record.digest);
    }
  }
  return retained;
}

function nameOf({ repository, tag }: Pick<TagEntry, 'repository' | 'tag'>): string {
  return keyOf(repository.registry, repository.repository, tag);
}
