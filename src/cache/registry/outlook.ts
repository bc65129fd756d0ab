import type { Digest, Reference, Repository } from '../../oci/index.ts';
import type { BlobStore, MetadataStore, TagHold } from '../../store/index.ts';
import { coolingOf, type StoredParts, storedParts, type TagHolds } from '../metadata/index.ts';
import type { Cooldown, Freshness } from '../revalidation/index.ts';

/** What the cache has for a reference, and by which rule the next request for it is answered. Times are milliseconds since the epoch. */
export interface Outlook {
  /** False: every request for a tag reaches its upstream, and no manifest is kept. */
  readonly keepsManifests: boolean;
  /** What a request would be answered with where no upstream says otherwise; undefined where that is not known here. */
  readonly digest: Digest | undefined;
  /** How much of that is stored; undefined without a digest. */
  readonly parts: StoredParts | undefined;
  /** When an upstream last said where the tag points. */
  readonly checkedAt: number | undefined;
  /** Until then no upstream is asked where the tag points. */
  readonly freshUntil: number | undefined;
  readonly hold: TagHold | undefined;
  /** The tag points to `digest`, which is younger than its cooldown until `until`. */
  readonly cooling: { readonly digest: Digest; readonly until: number } | undefined;
}

interface OutlookOptions {
  readonly metadata: MetadataStore;
  readonly store: BlobStore;
  readonly holds: Pick<TagHolds, 'get'>;
  readonly policy: {
    readonly keepsManifests: boolean;
    readonly freshness: Freshness;
    readonly cooldown: Cooldown;
  };
  readonly now: number;
}

const UNKNOWN = {
  digest: undefined,
  parts: undefined,
  checkedAt: undefined,
  freshUntil: undefined,
  hold: undefined,
  cooling: undefined,
};

/** Looks ahead to the next request for a manifest, by the rules of `Tags`. It asks no upstream, and changes nothing. */
export async function outlookOf(
  repository: Repository,
  reference: Reference,
  options: OutlookOptions,
): Promise<Outlook> {
  const { metadata, store, policy } = options;
  const { keepsManifests } = policy;
  if (reference.kind === 'tag') return await tagOutlook(repository, reference.tag, options);
  const { digest } = reference;
  const member = await metadata.getMember(repository, digest);
  if (member?.kind !== 'manifest') return { keepsManifests, ...UNKNOWN };
  return { keepsManifests, ...UNKNOWN, digest, parts: await storedParts(member, { metadata, store }) };
}

async function tagOutlook(
  repository: Repository,
  tag: string,
  { metadata, store, holds, policy, now }: OutlookOptions,
): Promise<Outlook> {
  const { keepsManifests, freshness, cooldown } = policy;
  const hold = await holds.get(repository, tag);
  if (hold !== undefined) {
    const parts = await storedParts(hold, { metadata, store });
    return { keepsManifests, ...UNKNOWN, hold, digest: hold.digest, parts };
  }
  const record = await metadata.getTag(repository, tag);
  if (!keepsManifests || record === undefined) return { keepsManifests, ...UNKNOWN };
  const { digest: current, checkedAt } = record;
  const moves = await metadata.listMoves(repository, tag);
  const found = coolingOf(moves, { current, cooldown: cooldown(repository, tag), now });
  const served = found?.aged ?? record;
  return {
    keepsManifests,
    digest: served.digest,
    parts: await storedParts(served, { metadata, store }),
    checkedAt,
    freshUntil: checkedAt + freshness(repository, tag),
    hold: undefined,
    cooling: found && { digest: current, until: found.until },
  };
}
