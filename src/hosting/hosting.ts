import type { BlobStore, HostedStore, ResumableBlobStore } from '../store/index.ts';
import type { Telemetry } from '../telemetry/index.ts';
import { type Collected, Collection } from './collection/index.ts';
import { HostedBlobs, HostedFiles, HostedLists, HostedManifests } from './content/index.ts';
import { DigestLocks } from './digest-locks.ts';
import type { HostingRules } from './rules.ts';

export interface HostingOptions {
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
  /** Milliseconds since 1970. @default the clock */
  readonly now?: (() => number) | undefined;
}

/** Repositories whose home is this server, with all that can be done to them. */
export class Hosting {
  readonly blobs: HostedBlobs;
  readonly manifests: HostedManifests;
  readonly lists: HostedLists;
  readonly records: HostedStore;
  readonly #files: HostedFiles;
  readonly #collection: Collection;
  readonly #now: () => number;

  private constructor(options: HostingOptions) {
    const { now = Date.now } = options;
    const shared = { ...options, now, locks: new DigestLocks() };
    const files = new HostedFiles({ ...shared, memory: options.manifestsInMemory });
    this.#now = now;
    this.#files = files;
    this.records = options.records;
    this.blobs = new HostedBlobs({ ...shared, files });
    this.manifests = new HostedManifests({ ...shared, files });
    this.lists = new HostedLists(options);
    this.#collection = new Collection({
      ...shared,
      deleteUnreferenced: (digest) => files.deleteUnreferenced(digest),
    });
  }

  static async open(options: HostingOptions): Promise<Hosting> {
    return new Hosting(options);
  }

  /** Begins to collect, now and every ten minutes. */
  start(): void {
    this.#collection.start();
  }

  /** Collects once. @param options `now`: milliseconds since 1970. @default the clock */
  collect({ now = this.#now() }: { readonly now?: number } = {}): Promise<Collected> {
    return this.#collection.run({ now });
  }

  /** Resolves when nothing is under way any more. Records and store stay open: they are their owner's. */
  async close(): Promise<void> {
    await this.#collection.close();
    await this.#files.close();
  }
}
