import { keyOf, Lru } from '../../lib/index.ts';
import type { Digest, Repository } from '../../oci/index.ts';
import type { MemberRecord, MetadataStore } from '../../store/index.ts';
import type { Telemetry } from '../../telemetry/index.ts';

/** Members kept in memory: about 20 MB when full. */
const REMEMBERED = 50_000;

/**
 * Which digests belong to which repository: the authority a blob is served by (reliability.md §5.2).
 *
 * Bytes are stored once for everyone; the right to read them is not. Knowing a digest is no proof that a repository has it:
 * only a manifest fetched under the repository is, or the word of its upstream. A database that fails costs questions to
 * the upstream, never a pull.
 */
export class RepositoryBlobs {
  readonly #metadata: MetadataStore;
  readonly #telemetry: Telemetry;
  /** Only what is so is remembered; what is not may become so at any time. */
  readonly #known = new Lru<MemberRecord>({ maxWeight: REMEMBERED });

  constructor(metadata: MetadataStore, telemetry: Telemetry) {
    this.#metadata = metadata;
    this.#telemetry = telemetry;
  }

  async get(repository: Repository, digest: Digest): Promise<MemberRecord | undefined> {
    const key = keyOf(repository.registry, repository.repository, digest);
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    try {
      const stored = await this.#metadata.getMember(repository, digest);
      if (stored !== undefined) this.#known.set(key, stored);
      return stored;
    } catch (error) {
      this.#telemetry.publish('warning', { message: 'Cannot read which repository a blob belongs to', error });
      return undefined;
    }
  }

  async add(repository: Repository, members: readonly MemberRecord[]): Promise<void> {
    for (const member of members) {
      const key = keyOf(repository.registry, repository.repository, member.digest);
      // Whether another manifest asks to keep it is for the database to know; what is here already is to be kept.
      if (member.transient !== true) this.#known.set(key, member);
      else if (this.#known.get(key)?.transient === true) this.#known.delete(key);
    }
    try {
      await this.#metadata.putMembers(repository, members);
    } catch (error) {
      this.#telemetry.publish('warning', { message: 'Cannot note which repository a blob belongs to', error });
    }
  }

  /** Adds those that have been taken out since they were added. The first one stands for all. */
  async restore(repository: Repository, members: readonly MemberRecord[]): Promise<void> {
    const [first] = members;
    if (first === undefined || (await this.get(repository, first.digest)) !== undefined) return;
    await this.add(repository, members);
  }

  /** Forgets what is remembered of the database, after something was taken out of it. */
  forget(): void {
    this.#known.clear();
  }
}
