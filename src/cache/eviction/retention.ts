import { setImmediate as nextTurn } from 'node:timers/promises';
import { compileGlob } from '../../lib/index.ts';
import type { Digest } from '../../oci/index.ts';
import type { BlobStore, MetadataStore, TagEntry } from '../../store/index.ts';
import { addTree, type Freshness, isFresh } from '../metadata/index.ts';

export interface SparedOptions {
  readonly metadata: MetadataStore;
  readonly store: BlobStore;
  /** Says of a tag whether its image is to stay: it is fresh, or pinned. */
  readonly isSpared: (tag: TagEntry) => boolean;
}

export interface SparingOptions {
  readonly freshness: Freshness;
  /** Patterns of `registry/repository:tag`. */
  readonly pin: readonly string[];
  readonly now: () => number;
}

/** The images that stay: of tags that are fresh, or pinned. */
export function retentionRule({ freshness, pin, now }: SparingOptions): (tag: TagEntry) => boolean {
  const pins = pin.map(compileGlob);
  return ({ repository, tag, record }) => {
    if (isFresh(record.checkedAt, freshness(repository, tag), now())) return true;
    const name = `${repository.registry}/${repository.repository}:${tag}`;
    return pins.some((matches) => matches(name));
  };
}

/** Tags looked at between two turns of the event loop. */
const BATCH = 500;

/** The most digests spared: some 40 MB. An image has about twenty. */
const MAX_SPARED = 200_000;

/**
 * What the sweep must leave: everything that fresh or pinned tags lead to, down to the layers. Somebody who has just got
 * an index comes back for the rest.
 */
export async function sparedDigests({ metadata, store, isSpared }: SparedOptions): Promise<ReadonlySet<Digest>> {
  const retained = new Set<Digest>();
  for (let after: TagEntry | undefined; ; ) {
    const page = await metadata.listTags({ after, limit: BATCH });
    for (const tag of page) {
      if (isSpared(tag)) await addTree(tag.record, { store, into: retained, limit: MAX_SPARED });
    }
    after = page.at(-1);
    if (page.length < BATCH) return retained;
    // Listing waits for nothing: without this, requests would wait for all of it.
    await nextTurn();
  }
}
