import type { Digest } from '../../oci/index.ts';
import type { MovedTag, PutManifestOutcome, TagChange } from './hosted-store.ts';

type Refusal = Extract<PutManifestOutcome, { readonly outcome: 'conflict' | 'immutable' }>;

interface Decided {
  readonly refusal: Refusal | undefined;
  /** The tags that are to move; empty where one is refused. A tag that points there already is none of them. */
  readonly moved: readonly MovedTag[];
}

/** Decides over tag changes that belong together: all of them, or none. A tag that may never move is worse than one that has. */
export function decideTags(
  changes: readonly Omit<TagChange, 'digest'>[],
  digest: Digest,
  current: (tag: string) => Digest | undefined,
): Decided {
  const pointed = new Map(changes.map(({ tag }) => [tag, current(tag)]));
  for (const { tag, immutable = false } of changes) {
    const found = pointed.get(tag);
    if (immutable && found !== undefined && found !== digest) {
      return { refusal: { outcome: 'immutable', tag, digest: found }, moved: [] };
    }
  }
  for (const { tag, expected } of changes) {
    const found = pointed.get(tag);
    if (expected !== undefined && (expected ?? undefined) !== found) {
      return { refusal: { outcome: 'conflict', tag, digest: found }, moved: [] };
    }
  }
  const moved = [...pointed].filter(([, from]) => from !== digest).map(([tag, from]) => ({ tag, from }));
  return { refusal: undefined, moved };
}
