import { inTurns, keyOf, Lru, mapInPieces } from '../../lib/index.ts';
import type { Digest, Repository } from '../../oci/index.ts';
import type { MemberRecord, MetadataStore } from '../../store/index.ts';
import type { Telemetry } from '../../telemetry/index.ts';
import { attempt } from '../attempt.ts';

/** Records kept in memory: about 20 MB when full. */
const REMEMBERED = 50_000;

/**
 * Which digests belong to which repository: the authority a blob is served by (reliability.md §5.2).
 *
 * Bytes are stored once for all repositories; the right to read them is not. Knowing a digest is no proof that a repository
 * has it: only a manifest fetched under the repository is, or the confirmation of its upstream. A database that fails costs
 * questions to the upstream, never a pull.
 */
export class RepositoryBlobs {
  readonly #metadata: MetadataStore;
  readonly #telemetry: Telemetry;
  /** Only what belongs is remembered; what does not may be added at any time. */
  readonly #known = new Lru<MemberRecord>({ maxWeight: REMEMBERED });
  #privateAdds = 0;

  constructor(metadata: MetadataStore, telemetry: Telemetry) {
    this.#metadata = metadata;
    this.#telemetry = telemetry;
  }

  /** Grows whenever records are added of what was fetched with a credential. */
  get privateAdds(): number {
    return this.#privateAdds;
  }

  async get(repository: Repository, digest: Digest): Promise<MemberRecord | undefined> {
    const key = keyOf(repository.registry, repository.repository, digest);
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    const stored = await attempt(() => this.#metadata.getMember(repository, digest), {
      telemetry: this.#telemetry,
      message: 'Cannot read which repository a blob belongs to',
    });
    if (stored !== undefined) this.#known.set(key, stored);
    return stored;
  }

  async add(repository: Repository, members: readonly MemberRecord[]): Promise<void> {
    const remember = (member: MemberRecord): void => {
      const key = keyOf(repository.registry, repository.repository, member.digest);
      // A record that is not transient wins, and only the database knows them all: another manifest may have put one.
      if (member.transient !== true) this.#known.set(key, member);
      else if (this.#known.get(key)?.transient === true) this.#known.delete(key);
    };
    await inTurns(mapInPieces(members, remember));
    await attempt(() => this.#metadata.putMembers(repository, members), {
      telemetry: this.#telemetry,
      message: 'Cannot note which repository a blob belongs to',
    });
    // The blobs of a manifest were fetched as it was.
    if (members[0]?.visibility === 'private') this.#privateAdds += 1;
  }

  /** Adds records again that were deleted since they were added. The first one stands for all. */
  async restore(repository: Repository, members: readonly MemberRecord[]): Promise<void> {
    const [first] = members;
    if (first === undefined || (await this.get(repository, first.digest)) !== undefined) return;
    await this.add(repository, members);
  }

  /** Drops the memory, after something was deleted from the database. */
  forget(): void {
    this.#known.clear();
  }
}
