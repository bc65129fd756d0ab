import { keyOf, Lru } from '../lib/index.ts';
import { type Digest, type Repository } from '../oci/index.ts';
import type { BlobRecord, ListBlobsOptions, MemberRecord, NameStore, TagRecord } from './name-store.ts';

export interface MemoryNameStoreOptions {
  /**
   * How many tags, and how many memberships, are remembered; the ones used longest ago are forgotten first, and
   * their upstream is asked again. @default 100000
   */
  readonly limit?: number;
}

/** A {@link NameStore} that ends with the process: for tests, and for `cache: off`. */
export class MemoryNameStore implements NameStore {
  readonly #tags: Lru<TagRecord>;
  readonly #members: Lru<MemberRecord>;
  readonly #blobs = new Map<Digest, { readonly record: BlobRecord; readonly readAt: number }>();

  constructor(options: MemoryNameStoreOptions = {}) {
    const limit = options.limit ?? 100_000;
    this.#tags = new Lru({ maxWeight: limit });
    this.#members = new Lru({ maxWeight: limit });
  }

  async getTag(repository: Repository, tag: string): Promise<TagRecord | undefined> {
    return this.#tags.get(keyIn(repository, tag));
  }

  async putTag(repository: Repository, tag: string, record: TagRecord): Promise<void> {
    this.#tags.set(keyIn(repository, tag), { ...record });
  }

  async deleteTag(repository: Repository, tag: string): Promise<boolean> {
    return this.#tags.delete(keyIn(repository, tag));
  }

  async getMember(repository: Repository, digest: Digest): Promise<MemberRecord | undefined> {
    return this.#members.get(keyIn(repository, digest));
  }

  async putMembers(repository: Repository, members: readonly MemberRecord[]): Promise<void> {
    for (const member of members) this.#members.set(keyIn(repository, member.digest), { ...member });
  }

  async deleteMember(repository: Repository, digest: Digest): Promise<boolean> {
    return this.#members.delete(keyIn(repository, digest));
  }

  async putBlob(record: BlobRecord): Promise<void> {
    const kind = this.#blobs.get(record.digest)?.record.kind === 'hosted' ? 'hosted' : record.kind;
    this.#blobs.set(record.digest, { record: { verifiedAt: undefined, ...record, kind }, readAt: record.storedAt });
  }

  async getBlob(digest: Digest): Promise<BlobRecord | undefined> {
    return this.#blobs.get(digest)?.record;
  }

  async listBlobs({ after, limit }: ListBlobsOptions): Promise<readonly BlobRecord[]> {
    return [...this.#blobs.values()]
      .map((blob) => blob.record)
      .filter((record) => after === undefined || record.digest > after)
      .sort((a, b) => (a.digest < b.digest ? -1 : 1))
      .slice(0, limit);
  }

  async noteVerified(digest: Digest, at: number): Promise<void> {
    const blob = this.#blobs.get(digest);
    if (blob !== undefined) this.#blobs.set(digest, { ...blob, record: { ...blob.record, verifiedAt: at } });
  }

  async deleteBlob(digest: Digest): Promise<void> {
    this.#blobs.delete(digest);
  }

  async touchBlobs(reads: readonly { readonly digest: Digest; readonly at: number }[]): Promise<void> {
    for (const { digest, at } of reads) {
      const blob = this.#blobs.get(digest);
      if (blob !== undefined) this.#blobs.set(digest, { ...blob, readAt: at });
    }
  }

  async leastRecentlyUsed(limit: number): Promise<readonly BlobRecord[]> {
    return [...this.#blobs.values()]
      .filter((blob) => blob.record.kind === 'mirrored')
      .sort((a, b) => a.readAt - b.readAt)
      .slice(0, limit)
      .map((blob) => blob.record);
  }

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
