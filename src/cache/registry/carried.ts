import { type Digest, OciError, type OriginManifest, type Repository } from '../../oci/index.ts';
import type { BlobStore, Ingestion } from '../../store/index.ts';
import type { Capacity } from '../capacity.ts';
import type { Verification } from '../integrity/index.ts';
import type { TagRecords } from '../metadata/index.ts';
import type { Manifests } from './manifests.ts';
import type { Tags } from './tags.ts';

interface CarriedOptions {
  readonly store: BlobStore;
  readonly verification: Verification;
  readonly capacity: Capacity;
  readonly policy: () => { readonly keep: boolean; readonly keepsManifests: boolean };
  readonly manifests: Manifests;
  readonly tags: Tags;
  readonly tagRecords: TagRecords;
}

/** What is imported from a bundle, kept as if it had been pulled when an upstream confirmed it. Its blobs are stored before. */
export class Carried {
  readonly #options: CarriedOptions;

  constructor(options: CarriedOptions) {
    this.#options = options;
  }

  /** Starts to store a blob; undefined where nothing is kept now. The caller hashes it, and commits or drops it. */
  begin(): CarriedBlob | undefined {
    const { policy, capacity } = this.#options;
    const { keep, keepsManifests } = policy();
    return keep && keepsManifests && capacity.mayKeep() ? new CarriedBlob(this.#options) : undefined;
  }

  /** Bytes of a stored blob; undefined where it is not stored. A file of another size than its record is quarantined. */
  storedSize(digest: Digest): Promise<number | undefined> {
    return this.#options.verification.size(digest, undefined);
  }

  /** Records a manifest, and what it names. @throws {OciError} where it cannot be parsed */
  async manifest(repository: Repository, manifest: OriginManifest, isTagged: boolean): Promise<void> {
    await this.#options.manifests.pushed(repository, manifest, isTagged);
  }

  /** The verified bytes of a stored manifest; undefined where it is not stored. */
  bytes(digest: Digest): Promise<Buffer | undefined> {
    return this.#options.manifests.local(digest);
  }

  /**
   * Records where a tag points. What was confirmed later stays: an old bundle moves nothing back.
   *
   * @param confirmedAt milliseconds since the epoch
   * @throws {OciError} where the record cannot be written
   */
  async tag(
    repository: Repository,
    tag: string,
    manifest: OriginManifest,
    confirmedAt: number,
  ): Promise<'moved' | 'unchanged' | 'newer'> {
    const { tags, tagRecords } = this.#options;
    const before = await tagRecords.get(repository, tag);
    if (before !== undefined && before.checkedAt >= confirmedAt) {
      return before.digest === manifest.digest ? 'unchanged' : 'newer';
    }
    const { digest, mediaType, size, upstream, visibility } = manifest;
    await tags.carried(repository, tag, { digest, mediaType, size, upstream, visibility, checkedAt: confirmedAt });
    const after = await tagRecords.stored(repository, tag);
    if (after?.digest !== manifest.digest) {
      throw new OciError(
        'UNAVAILABLE',
        `cannot record where ${tag} points: the database took it not; see the log of the server`,
      );
    }
    return before?.digest === manifest.digest ? 'unchanged' : 'moved';
  }
}

/** Bytes after which it is asked again whether they may be kept. */
const LOOK_EVERY = 16 * 1024 * 1024;

/** A blob of a bundle on its way into the store. Its caller hashes it. */
export class CarriedBlob {
  readonly #options: Pick<CarriedOptions, 'store' | 'verification' | 'capacity'>;
  #file: Ingestion | undefined;
  #written = 0;
  #askAt = 0;
  #isRefused = false;

  constructor(options: Pick<CarriedOptions, 'store' | 'verification' | 'capacity'>) {
    this.#options = options;
  }

  /** Writes the next bytes. Where the disk refuses them, the commit says so. */
  async append(bytes: Buffer): Promise<void> {
    if (this.#isRefused) return;
    const { store, capacity } = this.#options;
    try {
      if (this.#written >= this.#askAt) {
        this.#askAt = this.#written + LOOK_EVERY;
        if (!capacity.mayKeep(this.#written)) {
          this.#isRefused = true;
          return;
        }
      }
      this.#file ??= await store.begin();
      await this.#file.write(bytes, this.#written);
      this.#written += bytes.length;
    } catch (error) {
      capacity.refused(error);
      this.#isRefused = true;
    }
  }

  /**
   * Publishes what was written, which has the digest.
   *
   * @returns its size; undefined where it was not kept
   */
  async commit(digest: Digest): Promise<number | undefined> {
    const { store, capacity, verification } = this.#options;
    const size = this.#written;
    if (this.#isRefused || !capacity.mayKeep(size) || !capacity.mayPublish()) return undefined;
    try {
      const file = (this.#file ??= await store.begin());
      await capacity.decided();
      await verification.commit(file, { digest, size });
      capacity.look();
      return size;
    } catch (error) {
      capacity.refused(error);
      return undefined;
    }
  }

  /** Gives up what was not committed. */
  async drop(): Promise<void> {
    const file = this.#file;
    this.#file = undefined;
    if (file === undefined) return;
    // A disk that fails here has failed before, and the next start removes the file.
    await file.abort().catch(() => undefined);
    await file.close().catch(() => undefined);
  }
}
