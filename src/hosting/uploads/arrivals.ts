import { type Digest, digestAlgorithm, type Repository } from '../../oci/index.ts';
import type { BlobStore, HostedBlob, HostedStore, Ingestion, ResumableBlobStore } from '../../store/index.ts';
import type { Telemetry } from '../../telemetry/index.ts';
import type { DigestLocks } from '../digest-locks.ts';
import { overQuota } from './errors.ts';
import { hashFile } from './receive.ts';

export interface ArrivalsOptions {
  readonly store: ResumableBlobStore;
  readonly records: HostedStore;
  readonly locks: DigestLocks;
  readonly telemetry: Telemetry;
  /** The most bytes of a repository. @default no limit */
  readonly quotaOf?: ((repository: Repository) => number | undefined) | undefined;
  /** The blobs of mirrored repositories. @default none can be mounted */
  readonly cacheStore?: BlobStore | undefined;
  /** Called with each file that was committed, whose content has been hashed; see `HostedFiles.confirm`. @default nothing is */
  readonly onCommit?: ((digest: Digest, file: CommittedFile) => Promise<void>) | undefined;
  /** Milliseconds since 1970. @default Date.now */
  readonly now?: (() => number) | undefined;
}

interface CommittedFile {
  readonly size: number;
  readonly mark: string | undefined;
}

/** Where a blob may be mounted from: a repository, or whichever the client may read. */
type MountSource = Repository | ((candidate: Repository) => boolean);

/**
 * How a blob becomes one of a repository: its file first, then its record, both under the lock of its digest. So the collection, which
 * takes the same lock, never deletes a file between the two.
 */
export class Arrivals {
  readonly #options: ArrivalsOptions;
  readonly #now: () => number;

  constructor(options: ArrivalsOptions) {
    this.#options = options;
    this.#now = options.now ?? Date.now;
  }

  quotaOf(repository: Repository): number | undefined {
    return this.#options.quotaOf?.(repository);
  }

  /**
   * Commits a file whose bytes have the digest, and records the blob. A stored file is replaced, since it may be damaged.
   *
   * @throws {OciError} DENIED where the repository would be over its quota
   */
  async commit(file: Ingestion, repository: Repository, blob: HostedBlob): Promise<void> {
    const { locks, records } = this.#options;
    const how = await locks.run(blob.digest, async () => {
      const had = await records.getBlob(repository, blob.digest);
      await file.commit(blob.digest);
      await this.#record(repository, blob);
      await this.#options.onCommit?.(blob.digest, { size: blob.size, mark: file.mark });
      return had === undefined ? 'uploaded' : 'present';
    });
    this.#publish(repository, blob, how);
  }

  /**
   * Adds a blob of another hosted repository.
   *
   * @returns undefined where no such repository has it
   * @throws {OciError} DENIED as {@link commit}
   */
  async mount(repository: Repository, digest: Digest, from: MountSource): Promise<HostedBlob | undefined> {
    const { locks, records, store } = this.#options;
    const blob = await locks.run(digest, async () => {
      // A record whose file is lost helps no client: the upload puts the file back.
      if ((await store.stat(digest)) === undefined) return undefined;
      const quota = this.quotaOf(repository);
      const mounted = await records.mountBlob(repository, digest, { from, at: this.#now(), quota });
      if (mounted !== 'over quota') return mounted;
      throw await this.#overQuota(repository, (await store.stat(digest)) ?? 0);
    });
    if (blob !== undefined) this.#publish(repository, blob, 'mounted');
    return blob;
  }

  /**
   * Adds a blob of the cache, as {@link mount}. The caller knows that the client may see it. A hard link is as right as the file of the
   * cache, which may have rotted since it was verified: so it is hashed before a client is told that it is there.
   */
  async take(repository: Repository, digest: Digest): Promise<HostedBlob | undefined> {
    const { locks, store, cacheStore } = this.#options;
    if (cacheStore === undefined) return undefined;
    const blob = await locks.run(digest, async () => {
      const isPresent = (await store.stat(digest)) !== undefined;
      const size = await store.takeFrom(cacheStore, digest);
      if (size === undefined) return undefined;
      const taken = { digest, size };
      if (isPresent) {
        await this.#record(repository, taken);
        return taken;
      }
      const verified = await this.#verify(taken);
      if (verified === undefined) return undefined;
      await this.#record(repository, taken);
      await this.#options.onCommit?.(digest, { size, mark: verified.mark });
      return taken;
    });
    if (blob !== undefined) this.#publish(repository, blob, 'mounted');
    return blob;
  }

  /** Hashes a file that no record names yet, and drops it where it is wrong; undefined then. */
  async #verify({ digest, size }: HostedBlob): Promise<Pick<CommittedFile, 'mark'> | undefined> {
    const blob = await this.#options.store.open(digest);
    if (blob === undefined) return undefined;
    try {
      const { mark } = blob;
      if (blob.size === size && (await hashFile(blob, size, digestAlgorithm(digest))).digest() === digest)
        return { mark };
    } finally {
      await blob.close();
    }
    await this.#dropUnreferenced(digest);
    return undefined;
  }

  async #record(repository: Repository, blob: HostedBlob): Promise<void> {
    const { records } = this.#options;
    try {
      const quota = this.quotaOf(repository);
      const outcome = await records.putBlob(repository, blob, { at: this.#now(), quota });
      if (outcome === 'over quota') throw await this.#overQuota(repository, blob.size);
    } catch (error) {
      await this.#dropUnreferenced(blob.digest);
      throw error;
    }
  }

  /** Where it fails, the collection deletes the file. */
  async #dropUnreferenced(digest: Digest): Promise<void> {
    const { store, records } = this.#options;
    try {
      if (!(await records.isReferenced(digest))) await store.delete(digest);
    } catch {}
  }

  async #overQuota(repository: Repository, size: number): Promise<Error> {
    const { bytes } = await this.#options.records.usage(repository);
    return overQuota(repository, { quota: this.quotaOf(repository) ?? 0, size, used: bytes });
  }

  #publish({ registry, repository }: Repository, { digest, size }: HostedBlob, how: How): void {
    this.#options.telemetry.publish('blob.pushed', { registry, repository, digest, size, how });
  }
}

type How = 'uploaded' | 'mounted' | 'present';
