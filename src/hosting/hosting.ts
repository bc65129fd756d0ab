import type { Scrub, Selection } from '../cache/index.ts';
import type { Repository } from '../oci/index.ts';
import type { BlobStore, HostedStore, ResumableBlobStore } from '../store/index.ts';
import type { Telemetry } from '../telemetry/index.ts';
import { type Collected, Collection } from './collection/index.ts';
import {
  createHostedScrub,
  HostedBlobs,
  HostedFiles,
  HostedLists,
  HostedManifests,
  selectHosted,
} from './content/index.ts';
import { DeletionPause } from './deletion-pause.ts';
import { DigestLocks } from './digest-locks.ts';
import { DiskFailures } from './disk-failures.ts';
import { HostedHistory } from './history.ts';
import type { HostingRules } from './rules.ts';
import { Uploads, type UploadsOptions } from './uploads/index.ts';

export interface HostingOptions extends Pick<UploadsOptions, 'limits' | 'mayStore'> {
  /** The store of hosted bytes, which is not the cache's. */
  readonly store: ResumableBlobStore;
  /** The store of the cache: what a mirrored repository has can be mounted. @default nothing can */
  readonly cacheStore?: BlobStore | undefined;
  readonly records: HostedStore;
  /** Called at each use, as a reload replaces them. */
  readonly rules: () => HostingRules;
  readonly telemetry: Telemetry;
  /** Milliseconds after which content is hashed again, at the next read. @default 7 days */
  readonly verifyAfter?: (() => number) | undefined;
  /** Milliseconds that what is unused is kept. @default a day */
  readonly grace?: number | undefined;
  /** Bytes of manifests held in memory. @default 33_554_432 */
  readonly manifestsInMemory?: number | undefined;
  /** Of a backup. @default there is none */
  readonly pause?: DeletionPause | undefined;
  /** Milliseconds since 1970. @default the clock */
  readonly now?: (() => number) | undefined;
}

interface Parts extends HostingOptions {
  readonly now: () => number;
  readonly locks: DigestLocks;
  readonly pause: DeletionPause;
  readonly files: HostedFiles;
  readonly uploads: Uploads;
}

/** Repositories whose home is this server, with all that can be done to them. */
export class Hosting {
  readonly blobs: HostedBlobs;
  readonly manifests: HostedManifests;
  readonly lists: HostedLists;
  readonly history: HostedHistory;
  readonly uploads: Uploads;
  readonly records: HostedStore;
  /** Hashes everything that is hosted. */
  readonly scrub: Scrub;
  readonly #isHosted: (repository: Repository) => boolean;
  readonly disk: DiskFailures;
  readonly #files: HostedFiles;
  readonly #collection: Collection;
  readonly #now: () => number;

  private constructor({ files, uploads, ...shared }: Parts) {
    this.#now = shared.now;
    this.#files = files;
    this.uploads = uploads;
    this.records = shared.records;
    this.disk = new DiskFailures(shared.telemetry);
    this.blobs = new HostedBlobs({ ...shared, files });
    this.manifests = new HostedManifests({ ...shared, files });
    this.lists = new HostedLists(shared);
    const { locks, pause, telemetry, rules } = shared;
    this.#isHosted = (repository) => rules().homeOf(repository) === 'here';
    this.scrub = createHostedScrub({ ...shared, verification: files.verification });
    this.history = new HostedHistory({ ...shared, has: (repository, manifest) => files.has(repository, manifest) });
    this.#collection = new Collection({
      ...shared,
      deleteUnreferenced: (digest) => files.deleteUnreferenced(digest),
    });
    pause.onEnd(async (waiting) => {
      try {
        for (const digest of waiting) await locks.run(digest, () => files.deleteUnreferenced(digest));
      } catch (error) {
        telemetry.publish('warning', {
          message: 'Cannot delete files that a backup had kept; the daily look does',
          error,
        });
      }
    });
  }

  /** Finds the uploads of an earlier process. Rejects where the disk or the database cannot be read. */
  static async open(options: HostingOptions): Promise<Hosting> {
    const { now = Date.now, rules } = options;
    const shared = { ...options, now, locks: new DigestLocks(), pause: options.pause ?? new DeletionPause() };
    const files = new HostedFiles({ ...shared, memory: options.manifestsInMemory });
    const uploads = await Uploads.open({
      ...shared,
      quotaOf: ({ registry }) => rules().specOf(registry)?.quota,
      // It was hashed as it came, and need not be at its first read.
      onCommit: (digest, file) => files.confirm(digest, file),
    });
    return new Hosting({ ...shared, files, uploads });
  }

  /** Begins to collect, now and every ten minutes. */
  start(): void {
    this.#collection.start();
  }

  /** Collects once. @param options `now`: milliseconds since 1970. @default the clock */
  collect({ now = this.#now() }: { readonly now?: number } = {}): Promise<Collected> {
    return this.#collection.run({ now });
  }

  /** The repositories that a selection matches, which were pushed to. */
  select(selection: Selection): Promise<readonly Repository[]> {
    return selectHosted(selection, { records: this.records, isHosted: this.#isHosted });
  }

  /** Resolves when nothing is under way any more. Records and store stay open: they are their owner's. */
  async close(): Promise<void> {
    await this.scrub.stop();
    await this.uploads.close();
    await this.#collection.close();
    await this.#files.close();
  }
}
