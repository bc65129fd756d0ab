import { keyOf, Lru } from '../../lib/index.ts';
import type { Digest, Repository } from '../../oci/index.ts';
import {
  type BlobRecord,
  type Footprint,
  type FoundRepositories,
  type HoldEntry,
  type LastRead,
  type ListTagsOptions,
  type ListUrlsOptions,
  MAX_HOLDS,
  MAX_PINS,
  MAX_TAG_MOVES,
  MAX_URLS_PER_BLOB,
  type MemberRecord,
  type MetadataStore,
  type NotedMember,
  type Page,
  type PinEntry,
  type PublicRecord,
  type ReadBlobRecord,
  type RepositorySearch,
  type TagEntry,
  type TagHold,
  type TagMove,
  type TagPin,
  type TagRecord,
  type UrlEntry,
  type UrlName,
  type UrlRecord,
} from './metadata-store.ts';
import { searchList } from './repository-search.ts';

/** A {@link MetadataStore} in memory: for tests, and for `cache: off`. */
export class MemoryMetadataStore implements MetadataStore {
  readonly #tags: Lru<TagEntry>;
  readonly #moves: Lru<readonly TagMove[]>;
  readonly #holds = new Map<string, HoldEntry>();
  readonly #pins = new Map<string, PinEntry>();
  readonly #members: Lru<{ readonly repository: Repository; readonly record: MemberRecord }>;
  readonly #public: Lru<PublicRecord>;
  readonly #urls: Lru<UrlEntry>;
  readonly #blobs = new Map<Digest, { readonly record: BlobRecord; readonly readAt: number }>();

  /**
   * @param limit of tags, of members and of URLs, each; the least recently used are dropped first, and requests go to their
   * upstream again
   */
  constructor({ limit = 100_000 }: { readonly limit?: number } = {}) {
    this.#tags = new Lru({ maxWeight: limit });
    this.#moves = new Lru({ maxWeight: limit });
    this.#members = new Lru({ maxWeight: limit });
    this.#public = new Lru({ maxWeight: limit });
    this.#urls = new Lru({ maxWeight: limit });
  }

  async getTag(repository: Repository, tag: string): Promise<TagRecord | undefined> {
    return this.#tags.get(keyIn(repository, tag))?.record;
  }

  async putTag(repository: Repository, tag: string, record: TagRecord): Promise<void> {
    const key = keyIn(repository, tag);
    this.#tags.set(key, { repository, tag, record: { ...record } });
    const moves = this.#moves.get(key) ?? [];
    if (moves[0]?.digest === record.digest) return;
    const { checkedAt: seenAt, ...pointed } = record;
    this.#moves.set(key, [{ ...pointed, seenAt }, ...moves].slice(0, MAX_TAG_MOVES));
  }

  async deleteTag(repository: Repository, tag: string): Promise<boolean> {
    this.#moves.delete(keyIn(repository, tag));
    return this.#tags.delete(keyIn(repository, tag));
  }

  async listMoves(repository: Repository, tag: string): Promise<readonly TagMove[]> {
    return this.#moves.get(keyIn(repository, tag)) ?? [];
  }

  async putHold(repository: Repository, tag: string, hold: TagHold): Promise<boolean> {
    const key = keyIn(repository, tag);
    if (!this.#holds.has(key) && this.#holds.size >= MAX_HOLDS) return false;
    this.#holds.set(key, { repository, tag, hold: { ...hold } });
    return true;
  }

  async deleteHold(repository: Repository, tag: string): Promise<boolean> {
    return this.#holds.delete(keyIn(repository, tag));
  }

  async listHolds(): Promise<readonly HoldEntry[]> {
    return [...this.#holds].sort(byKey).map(([, entry]) => entry);
  }

  async putPin(repository: Repository, tag: string, pin: TagPin): Promise<boolean> {
    const key = keyIn(repository, tag);
    if (!this.#pins.has(key) && this.#pins.size >= MAX_PINS) return false;
    this.#pins.set(key, { repository, tag, pin: { ...pin } });
    return true;
  }

  async deletePin(repository: Repository, tag: string): Promise<boolean> {
    return this.#pins.delete(keyIn(repository, tag));
  }

  async listPins(): Promise<readonly PinEntry[]> {
    return [...this.#pins].sort(byKey).map(([, entry]) => entry);
  }

  async listTags({ repository, after, limit }: ListTagsOptions): Promise<readonly TagEntry[]> {
    const start = after === undefined ? '' : keyIn(after.repository, after.tag);
    return [...this.#tags.entries()]
      .filter(([key, tag]) => key > start && (repository === undefined || isSame(tag.repository, repository)))
      .sort(byKey)
      .slice(0, limit)
      .map(([, tag]) => tag);
  }

  async getMember(repository: Repository, digest: Digest): Promise<MemberRecord | undefined> {
    return this.#members.get(keyIn(repository, digest))?.record;
  }

  async putMembers(repository: Repository, members: readonly MemberRecord[]): Promise<void> {
    for (const member of members) {
      const key = keyIn(repository, member.digest);
      const { transient, ...kept } = member;
      const known = this.#members.get(key)?.record;
      const isTransient = transient === true && (known === undefined || known.transient === true);
      this.#members.set(key, { repository, record: isTransient ? { ...kept, transient } : kept });
    }
  }

  async deleteMember(repository: Repository, digest: Digest): Promise<boolean> {
    await this.deletePublic(repository);
    return this.#members.delete(keyIn(repository, digest));
  }

  async deleteMembers(repository: Repository, digests: readonly Digest[]): Promise<void> {
    for (const digest of digests) await this.deleteMember(repository, digest);
  }

  async listMembers(repository: Repository, { after, limit }: Page<Digest>): Promise<readonly MemberRecord[]> {
    return [...this.#members.entries()]
      .filter(([, member]) => isSame(member.repository, repository))
      .map(([, { record }]) => record)
      .filter(({ digest }) => after === undefined || digest > after)
      .sort(byDigest)
      .slice(0, limit);
  }

  async listRepositories({ after, limit }: Page<Repository>): Promise<readonly Repository[]> {
    const keys = new Map<string, Repository>();
    for (const [, { repository }] of this.#members.entries()) keys.set(keyIn(repository, ''), repository);
    const start = after === undefined ? '' : keyIn(after, '');
    return [...keys]
      .filter(([key]) => key > start)
      .sort(byKey)
      .slice(0, limit)
      .map(([, repository]) => repository);
  }

  async searchRepositories(search: RepositorySearch): Promise<FoundRepositories> {
    const names = new Map<string, Repository>();
    for (const [, { repository }] of this.#members.entries()) names.set(keyIn(repository, ''), repository);
    return searchList(names.values(), search);
  }

  async countTags(repositories: readonly Repository[], most: number): Promise<readonly number[]> {
    const counts = new Map<string, number>();
    for (const [, { repository }] of this.#tags.entries()) {
      const key = keyIn(repository, '');
      counts.set(key, (counts.get(key) ?? 0) + 1);
    }
    return repositories.map((each) => Math.min(most, counts.get(keyIn(each, '')) ?? 0));
  }

  async repositoriesOf(digest: Digest, limit: number): Promise<readonly Repository[]> {
    return [...this.#members.entries()]
      .filter(([, { record }]) => record.digest === digest)
      .slice(0, limit)
      .map(([, { repository }]) => repository);
  }

  async getPublic(repository: Repository): Promise<PublicRecord | undefined> {
    return this.#public.get(keyIn(repository, ''));
  }

  async putPublic(repository: Repository, record: PublicRecord): Promise<boolean> {
    const hasMembers = [...this.#members.entries()].some(([, member]) => isSame(member.repository, repository));
    if (hasMembers) this.#public.set(keyIn(repository, ''), record);
    return hasMembers;
  }

  async deletePublic(repository: Repository): Promise<boolean> {
    return this.#public.delete(keyIn(repository, ''));
  }

  async isPrivateElsewhere(repository: Repository, digest: Digest): Promise<boolean> {
    return [...this.#members.entries()].some(
      ([, member]) =>
        member.record.digest === digest &&
        member.record.visibility === 'private' &&
        !isSame(member.repository, repository) &&
        this.#public.get(keyIn(member.repository, '')) === undefined,
    );
  }

  async getUrl({ route, url }: UrlName): Promise<UrlRecord | undefined> {
    return this.#urls.get(keyOf(route, url))?.record;
  }

  async putUrl({ route, url }: UrlName, record: UrlRecord): Promise<void> {
    this.#urls.set(keyOf(route, url), { route, url, record: { ...record } });
    const same = [...this.#urls.entries()].filter(([, each]) => each.record.digest === record.digest);
    if (same.length <= MAX_URLS_PER_BLOB) return;
    const newestFirst = same.toSorted(([, a], [, b]) => b.record.checkedAt - a.record.checkedAt);
    for (const [key] of newestFirst.slice(MAX_URLS_PER_BLOB)) this.#urls.delete(key);
  }

  async deleteUrl({ route, url }: UrlName): Promise<boolean> {
    return this.#urls.delete(keyOf(route, url));
  }

  async listUrls({ route, after, limit }: ListUrlsOptions): Promise<readonly UrlEntry[]> {
    return [...this.#urls.entries()]
      .map(([, entry]) => entry)
      .filter((entry) => (route === undefined || entry.route === route) && (!after || byName(entry, after) > 0))
      .sort(byName)
      .slice(0, limit);
  }

  async urlsOf(digest: Digest, limit: number): Promise<readonly UrlName[]> {
    return [...this.#urls.entries()]
      .filter(([, { record }]) => record.digest === digest)
      .slice(0, limit)
      .map(([, { route, url }]) => ({ route, url }));
  }

  async putBlob(record: BlobRecord): Promise<void> {
    const kind = this.#blobs.get(record.digest)?.record.kind === 'hosted' ? 'hosted' : record.kind;
    this.#blobs.set(record.digest, { record: { verifiedAt: undefined, ...record, kind }, readAt: record.storedAt });
  }

  async getBlob(digest: Digest): Promise<BlobRecord | undefined> {
    return this.#blobs.get(digest)?.record;
  }

  async listBlobs({ after, limit }: Page<Digest>): Promise<readonly BlobRecord[]> {
    return [...this.#blobs.values()]
      .map((blob) => blob.record)
      .filter((record) => after === undefined || record.digest > after)
      .sort(byDigest)
      .slice(0, limit);
  }

  async noteVerified(digest: Digest, at: number): Promise<void> {
    const blob = this.#blobs.get(digest);
    if (blob !== undefined) this.#blobs.set(digest, { ...blob, record: { ...blob.record, verifiedAt: at } });
  }

  async deleteBlob(digest: Digest): Promise<void> {
    if (!this.#blobs.delete(digest)) return;
    for (const [key, { record }] of this.#urls.entries()) if (record.digest === digest) this.#urls.delete(key);
  }

  async touchBlobs(reads: readonly { readonly digest: Digest; readonly at: number }[]): Promise<void> {
    for (const { digest, at } of reads) {
      const blob = this.#blobs.get(digest);
      if (blob !== undefined) this.#blobs.set(digest, { ...blob, readAt: at });
    }
  }

  async leastRecentlyUsed(limit: number, after?: LastRead): Promise<readonly ReadBlobRecord[]> {
    return [...this.#blobs.values()]
      .filter((blob) => blob.record.kind === 'mirrored')
      .map(({ record, readAt }) => ({ ...record, readAt }))
      .filter((record) => after === undefined || byLastRead(record, after) > 0)
      .sort(byLastRead)
      .slice(0, limit);
  }

  async listNoted({ after, limit }: Page<NotedMember>): Promise<readonly NotedMember[]> {
    const start = after === undefined ? '' : keyIn(after.repository, after.digest);
    return [...this.#members.entries()]
      .filter(([key]) => key > start)
      .sort(byKey)
      .slice(0, limit)
      .map(([, { repository, record }]) => {
        return { repository, digest: record.digest, notedAt: 0, isStored: this.#blobs.has(record.digest) };
      });
  }

  /** It is bounded by itself, and on no disk. */
  async footprint(): Promise<Footprint> {
    return { overhead: 0, rowBytes: 0 };
  }

  async limitRows(): Promise<void> {}

  async giveBack(): Promise<void> {}

  async totals(): Promise<{ readonly blobs: number; readonly bytes: number }> {
    let bytes = 0;
    for (const blob of this.#blobs.values()) bytes += blob.record.size;
    return { blobs: this.#blobs.size, bytes };
  }

  async close(): Promise<void> {}
}

function keyIn(repository: Repository, name: string): string {
  return keyOf(repository.registry, repository.repository, name);
}

function isSame(a: Repository, b: Repository): boolean {
  return a.registry === b.registry && a.repository === b.repository;
}

function byKey([a]: readonly [string, unknown], [b]: readonly [string, unknown]): number {
  return a < b ? -1 : 1;
}

function byDigest(a: { readonly digest: Digest }, b: { readonly digest: Digest }): number {
  return a.digest < b.digest ? -1 : a.digest > b.digest ? 1 : 0;
}

function byName(a: UrlName, b: UrlName): number {
  if (a.route !== b.route) return a.route < b.route ? -1 : 1;
  return a.url === b.url ? 0 : a.url < b.url ? -1 : 1;
}

function byLastRead(a: LastRead, b: LastRead): number {
  return a.readAt - b.readAt || byDigest(a, b);
}
