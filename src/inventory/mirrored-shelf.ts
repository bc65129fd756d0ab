import { setImmediate as nextTurn } from 'node:timers/promises';
import { type CompiledPolicy, readWhole } from '../cache/index.ts';
import { MAX_MANIFEST_BYTES, type Repository } from '../oci/index.ts';
import type {
  BlobStore,
  HoldEntry,
  MemberRecord,
  MetadataStore,
  TagEntry,
  TagHold,
  TagRecord,
} from '../store/index.ts';
import type { Root, Shelf, ShelfTag } from './shelf.ts';

interface MirroredShelfOptions {
  readonly metadata: MetadataStore;
  readonly store: BlobStore;
  readonly policy: () => Pick<CompiledPolicy, 'freshness' | 'keepsManifests'>;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
}

/** Members read at a time. */
const PAGE = 500;

/** Members that one look passes over: a repository has some twenty blobs for each manifest. */
const MAX_MEMBERS = 20_000;

/** What is mirrored, as the metadata of the cache has it. */
export function createMirroredShelf({ metadata, store, policy, now }: MirroredShelfOptions): Shelf {
  const holdsOf = async ({ registry, repository }: Repository): Promise<ReadonlyMap<string, TagHold>> => {
    const entries = (await metadata.listHolds()).filter(
      ({ repository: of, hold }) =>
        of.registry === registry && of.repository === repository && (hold.until === undefined || hold.until > now()),
    );
    return new Map(entries.map((entry: HoldEntry) => [entry.tag, entry.hold]));
  };
  const describe = (repository: Repository, { tag, record }: Pick<TagEntry, 'tag' | 'record'>): ShelfTag => {
    const { checkedAt } = record;
    const { freshness, keepsManifests } = policy();
    const freshFor = keepsManifests ? freshness(repository, tag) : 0;
    return { tag, ...rootOf(record), checkedAt, freshUntil: checkedAt + freshFor };
  };
  /** Clients get what it is held at, and no upstream is asked. */
  const held = (tag: string, hold: TagHold, known?: ShelfTag): ShelfTag => {
    const checkedAt = known?.checkedAt;
    return { tag, ...rootOf(hold), hold, ...(checkedAt === undefined ? {} : { checkedAt }) };
  };
  return {
    home: 'mirrored',
    async has(repository) {
      if ((await metadata.listMembers(repository, { limit: 1 })).length > 0) return true;
      return (await metadata.listTags({ repository, limit: 1 })).length > 0 || (await holdsOf(repository)).size > 0;
    },
    async tag(repository, tag) {
      const record = await metadata.getTag(repository, tag);
      const known = record && describe(repository, { tag, record });
      const hold = (await holdsOf(repository)).get(tag);
      return hold === undefined ? known : held(tag, hold, known);
    },
    async tags(repository, { after, limit }) {
      const holds = await holdsOf(repository);
      const entries = await metadata.listTags({
        repository,
        after: after === undefined ? undefined : { repository, tag: after },
        limit,
      });
      return entries.map((entry) => {
        const hold = holds.get(entry.tag);
        const known = describe(repository, entry);
        return hold === undefined ? known : held(entry.tag, hold, known);
      });
    },
    async held(repository) {
      const alone: ShelfTag[] = [];
      for (const [tag, hold] of await holdsOf(repository)) {
        if ((await metadata.getTag(repository, tag)) === undefined) alone.push(held(tag, hold));
      }
      return alone;
    },
    async manifest(repository, digest) {
      const member = await metadata.getMember(repository, digest);
      return member?.kind === 'manifest' ? rootOf(member) : undefined;
    },
    async manifests(repository, { after, limit }) {
      const found: Root[] = [];
      let next = after;
      for (let looked = 0; looked < MAX_MEMBERS && found.length < limit; looked += PAGE) {
        if (looked > 0) await nextTurn();
        const page: readonly MemberRecord[] = await metadata.listMembers(repository, { after: next, limit: PAGE });
        for (const member of page) {
          if (member.kind !== 'manifest') continue;
          if ((await metadata.getBlob(member.digest)) !== undefined) found.push(rootOf(member));
        }
        if (page.length < PAGE) return { found, next: undefined };
        next = page.at(-1)?.digest;
      }
      return { found, next };
    },
    async storedSize(_, digest) {
      return (await metadata.getBlob(digest))?.size;
    },
    async read(_, digest, kind) {
      try {
        const stored = await store.open(digest);
        if (stored === undefined) return undefined;
        try {
          return stored.size > limitOf(kind) ? undefined : await readWhole(stored);
        } finally {
          await stored.close();
        }
      } catch {
        // What the disk cannot read now is shown as what is not known.
        return undefined;
      }
    },
    // Answers to questions about referrers pass through and are not kept.
    referrers: () => Promise.resolve(undefined),
  };
}

/** The most bytes of a config that is read. */
export const MAX_CONFIG_BYTES = 1024 * 1024;

export function limitOf(kind: 'manifest' | 'blob'): number {
  return kind === 'manifest' ? MAX_MANIFEST_BYTES : MAX_CONFIG_BYTES;
}

function rootOf({
  digest,
  mediaType,
  size,
}: Pick<TagRecord, 'digest' | 'mediaType'> & { readonly size: number | undefined }): Root {
  return { digest, mediaType, size };
}
