import {
  acceptsMediaType,
  type Digest,
  isIndexType,
  MEDIA_TYPES,
  type OriginSource,
  parseManifest,
  pickPlatform,
  type Reference,
  type Repository,
} from '../oci/index.ts';
import type { BlobStore, MetadataStore } from '../store/index.ts';
import type { Telemetry } from '../telemetry/index.ts';
import {
  CacheCapacity,
  type Collected,
  type CollectOptions,
  type Pause,
  type Purged,
  type PurgeOptions,
  purge,
  type RoomLimits,
  retentionRule,
  sparedDigests,
} from './eviction/index.ts';
import { isReconciliationDue, reconcile, Scrub, Verification } from './integrity/index.ts';
import type { Selection, UrlSelection } from './metadata/index.ts';
import {
  createFreshness,
  type Freshness,
  type FreshnessOptions,
  ReadTimes,
  RepositoryBlobs,
  TagRecords,
} from './metadata/index.ts';
import {
  type BlobAnswer,
  type BlobHead,
  type BlobRequest,
  Blobs,
  type ManifestAnswer,
  type ManifestRequest,
  Manifests,
  type PlatformFilter,
  platformFilter,
  type Refreshed,
  refresh,
  Tags,
} from './registry/index.ts';
import { BackOff, NegativeCache, UnresponsiveRegistries } from './revalidation/index.ts';
import type { Ingest } from './transfer/index.ts';
import { InUse, releasing } from './transfer/index.ts';
import { UrlCache } from './url/index.ts';

const TEN_SECONDS = 10_000;
const WEEK = 7 * 24 * 3_600_000;

/** How tags are believed. */
export interface TagRules extends FreshnessOptions {
  /** Milliseconds after which what is here is served while its upstream thinks. @default 2000 */
  readonly staleAfter?: number;
  /** True: what is here is served although its upstream has it no more. @default false */
  readonly staleOnNotFound?: boolean;
}

/** What may change while the cache is in use. */
export interface CachePolicy extends Omit<RoomLimits, 'disk'> {
  /** False: everything is delivered and nothing is kept (`cache: off`). */
  readonly keep: boolean;
  /** `never`: manifests are never kept, as crproxy does. @default {} */
  readonly tags?: TagRules | 'never';
  /** @default 'ingest' */
  readonly onRange?: 'ingest' | 'pass';
  /** Patterns of `registry/repository:tag`: what they lead to is never evicted. @default [] */
  readonly pin?: readonly string[];
  /** The platforms that are kept, as `linux/amd64`; the others are served and not kept. @default all */
  readonly platforms?: readonly string[] | undefined;
  /** Milliseconds that a "not found" of an upstream is believed. @default 10_000 */
  readonly notFoundFor?: number;
  /** Milliseconds after which a stored blob is hashed again; 0: only at its first read since the start. @default 7 days */
  readonly verifyAfter?: number;
}

export interface PullThroughOptions extends CachePolicy, Pick<RoomLimits, 'disk'> {
  readonly store: BlobStore;
  readonly metadata: MetadataStore;
  readonly telemetry: Telemetry;
  /** Bytes of manifests held in memory. */
  readonly manifestMemory?: number;
  /** When rows and files were last found to agree, milliseconds since the epoch; undefined where nobody knows that they do. */
  readonly reconciledAt?: number | undefined;
  readonly now?: () => number;
}

export interface RefreshOptions {
  /** The upstreams of a registry, by its name; what it throws is the outcome of each of the registry's tags. */
  readonly originFor: (registry: string) => OriginSource;
  /** Aborts between two tags. */
  readonly signal?: AbortSignal | undefined;
}

export interface NegotiatedRequest extends ManifestRequest {
  /** The client's `Accept` headers, joined. */
  readonly accept?: string | undefined;
}

/** The cache as the front door sees it: have it, join it or get it. */
export class PullThrough {
  /** Answers of mirrored sites, kept beside the images. */
  readonly urls: UrlCache;
  readonly #options: PullThroughOptions;
  #policy: Policy;
  readonly #blobs: Blobs;
  readonly #manifests: Manifests;
  readonly #readTimes: ReadTimes;
  readonly #verification: Verification;
  readonly #membership: RepositoryBlobs;
  readonly #pointers: TagRecords;
  readonly #tags: Tags;
  readonly #notFound: NegativeCache;
  readonly #backOff: BackOff;
  readonly #silence: UnresponsiveRegistries;
  readonly #inUse = new InUse();
  readonly #room: CacheCapacity;
  readonly #scrub: Scrub;
  readonly #subscriptions: readonly (() => void)[];
  readonly #doubts: readonly (() => void)[];
  readonly #stop = new AbortController();
  #stock: Promise<void> = Promise.resolve();
  #reconciledAt: number | undefined;
  #isDoubtful = false;

  constructor(options: PullThroughOptions) {
    const { store, metadata, telemetry, now } = options;
    this.#policy = compilePolicy(options);
    // Asked each time, as it may be another after a while.
    const policy = (): Policy => this.#policy;
    const membership = new RepositoryBlobs(metadata, telemetry);
    const readTimes = new ReadTimes(metadata, telemetry);
    const notFound = new NegativeCache({ notFoundFor: () => policy().notFoundFor, now });
    const pointers = new TagRecords(metadata, telemetry);
    const backOff = new BackOff(now);
    const silence = new UnresponsiveRegistries(now);
    const verification = new Verification({
      store,
      metadata,
      telemetry,
      verifyAfter: () => policy().verifyAfter,
      ...(now === undefined ? {} : { now }),
    });
    const shared = { store, metadata, membership, verification, readTimes, telemetry };
    this.#options = options;
    this.#reconciledAt = options.reconciledAt;
    const markDirty = (): void => {
      this.#isDoubtful = true;
    };
    this.#readTimes = readTimes;
    this.#verification = verification;
    this.#membership = membership;
    this.#pointers = pointers;
    this.#notFound = notFound;
    this.#backOff = backOff;
    this.#silence = silence;
    this.#blobs = new Blobs({
      ...shared,
      get keep() {
        return policy().keep;
      },
      get onRange() {
        return policy().onRange;
      },
      mayKeep: (size) => this.#room.mayKeep(size),
      decided: () => this.#room.decided(),
      onRefusal: (error) => this.#room.refused(error),
    });
    this.urls = new UrlCache({
      store,
      metadata,
      verification,
      readTimes,
      inUse: this.#inUse,
      telemetry,
      get keep() {
        return policy().keep;
      },
      get staleAfter() {
        return policy().tags.staleAfter;
      },
      mayKeep: (size) => this.#room.mayKeep(size),
      decided: () => this.#room.decided(),
      onRefusal: (error) => this.#room.refused(error),
      now,
    });
    this.#manifests = new Manifests({
      ...shared,
      notFound,
      get keep() {
        return policy().keepsManifests;
      },
      keepsPlatform: (platform) => policy().keepsPlatform(platform),
      mayKeep: (size) => this.#room.mayKeep(size),
      onRefusal: (error) => this.#room.refused(error),
      onStored: () => this.#room.look(),
      ...(options.manifestMemory === undefined ? {} : { memory: options.manifestMemory }),
      ...(now === undefined ? {} : { now }),
    });
    this.#tags = new Tags({
      ...shared,
      get staleAfter() {
        return policy().tags.staleAfter;
      },
      get staleOnNotFound() {
        return policy().tags.staleOnNotFound;
      },
      manifests: this.#manifests,
      pointers,
      notFound,
      backOff,
      silence,
      freshness: (repository, tag) => policy().freshness(repository, tag),
      get keep() {
        return policy().keepsManifests;
      },
      now,
    });
    this.#room = new CacheCapacity({
      store,
      metadata,
      telemetry,
      get maxSize() {
        return policy().maxSize;
      },
      get minFree() {
        return policy().minFree;
      },
      disk: options.disk,
      transfers: () => this.transfers,
      retained: () => {
        const { freshness, pin } = policy();
        return sparedDigests({ metadata, store, isSpared: retentionRule({ freshness, pin, now: now ?? Date.now }) });
      },
      isInUse: (digest) => this.#inUse.has(digest),
      onEvict: (digest) => this.#manifests.lost(digest),
      prepare: () => readTimes.flush(),
      ...(now === undefined ? {} : { now }),
    });
    const look = (): void => this.#room.look();
    this.#scrub = new Scrub({ store, metadata, telemetry, verification });
    this.#subscriptions = [
      telemetry.on('ingest.started', look),
      telemetry.on('ingest.finished', look),
      telemetry.on('names.recovered', () => this.reconcile()),
      telemetry.on('blob.rotten', ({ digest }) => this.#manifests.lost(digest)),
    ];
    // What could not be written or removed may have left a file that nobody counts; that may be the last thing that happens.
    this.#doubts = [telemetry.on('warning', markDirty), telemetry.on('cache.paused', markDirty)];
    // The limits may have been lowered since the last start.
    look();
  }

  /** Goes by another policy from now on; transfers that run go on as they were begun. */
  reconfigure(policy: CachePolicy): void {
    this.#policy = compilePolicy(policy);
    // Other platforms may be wanted.
    this.#manifests.forget([]);
    this.#room.look(true);
  }

  /** Forgets what upstreams lack, and which of them fail or are silent: whoever is asked from now on may be another. */
  clearFailures(): void {
    this.#notFound.clear();
    this.#backOff.clear();
    this.#silence.clear();
    this.urls.forget();
  }

  /** The transfers that run now. */
  get transfers(): Iterable<Ingest> {
    return [...this.#blobs.transfers, ...this.urls.transfers];
  }

  /**
   * @throws {OciError} where the answer to the client is known
   * @throws {OriginFailure} where the outside did not give it
   */
  async manifest(repository: Repository, reference: Reference, request: NegotiatedRequest): Promise<ManifestAnswer> {
    const answer = await this.#manifest(repository, reference, request);
    // Whoever asked by digest checks it, and could only refuse anything else.
    if (reference.kind === 'digest' || !wantsImageOfIndex(request.accept, answer.mediaType)) return answer;
    // An old client that knows no index: it gets the image most machines want, as from other registries.
    const bytes =
      answer.bytes ?? (await this.#manifests.byDigest(repository, answer.digest, { ...request, head: false })).bytes;
    if (bytes === undefined) return answer;
    const child = pickPlatform(parseManifest(bytes, answer.mediaType), { os: 'linux', architecture: 'amd64' });
    if (child === undefined) return answer;
    const image = await this.#manifests.byDigest(repository, child.digest, request);
    const outcome = answer.outcome === 'STALE' ? answer.outcome : image.outcome;
    return { ...image, outcome, checkedAt: answer.checkedAt, warning: answer.warning };
  }

  /** As {@link manifest}; the reader of the answer is to be closed. */
  async blob(repository: Repository, digest: Digest, request: BlobRequest): Promise<BlobAnswer> {
    // From here on, so that it is not evicted between being found and being opened.
    const release = this.#inUse.hold(digest);
    try {
      const answer = await this.#blobs.open(repository, digest, request);
      return { ...answer, reader: releasing(answer.reader, release) };
    } catch (error) {
      release();
      throw error;
    }
  }

  headBlob(repository: Repository, digest: Digest, request: BlobRequest): Promise<BlobHead> {
    return this.#blobs.head(repository, digest, request);
  }

  /** What is kept on disk. */
  totals(): Promise<{ readonly blobs: number; readonly bytes: number }> {
    return this.#options.metadata.totals();
  }

  /** Why nothing is kept now; undefined while it is. */
  get pause(): Pause | undefined {
    return this.#room.pause;
  }

  /** Evicts what is too much, or says what would go. */
  collect(options: CollectOptions): Promise<Collected> {
    return this.#room.collect(options);
  }

  /** Forgets images, tags or digests, and removes what nobody else has. Transfers and readers go on. */
  async purge(selections: readonly (Selection | UrlSelection)[], options: PurgeOptions = {}): Promise<Purged> {
    const { store, metadata } = this.#options;
    const purged = await purge(selections, {
      store,
      metadata,
      ...options,
      onForget: (digests) => this.#forget(digests),
    });
    this.#room.look(purged.blobs > 0 && !purged.dryRun);
    return purged;
  }

  /** Asks where tags point to now, and fetches the manifests that moved. */
  refresh(selections: readonly Selection[], { originFor, signal }: RefreshOptions): Promise<readonly Refreshed[]> {
    const { metadata } = this.#options;
    return refresh(selections, {
      metadata,
      refreshTag: (repository, tag) => this.#tags.refresh(repository, tag, { origin: originFor(repository.registry) }),
      signal,
    });
  }

  /** Looks through everything that is stored. */
  get scrub(): Scrub {
    return this.#scrub;
  }

  /**
   * When rows and files were last found to agree, where nothing has happened since that could have parted them: to be noted
   * when the server stops, so that the next one need not look. Undefined where one had better look.
   */
  get reconciledAt(): number | undefined {
    return this.#isDoubtful ? undefined : this.#reconciledAt;
  }

  /** Whether a look is due: nobody knows that rows and files agree, or it was long ago and somebody may have put files there. */
  get isReconciliationDue(): boolean {
    return isReconciliationDue(this.#reconciledAt, (this.#options.now ?? Date.now)());
  }

  /** Makes what is known of stored blobs agree with their files, beside everything else; what fails is published. */
  reconcile(): void {
    this.#reconciledAt = undefined;
    this.#isDoubtful = false;
    this.#stock = this.#stock.then(() => this.#count());
  }

  async #count(): Promise<void> {
    const { store, metadata, telemetry, now = Date.now } = this.#options;
    const { signal } = this.#stop;
    try {
      await reconcile({ store, metadata, telemetry, signal });
      this.#reconciledAt = now();
      this.#room.look();
    } catch (error) {
      if (!signal.aborted) telemetry.publish('warning', { message: 'Cannot count what is stored', error });
    }
  }

  /** Ends every transfer and writes down what is still to be noted. */
  async close(): Promise<void> {
    for (const stop of this.#subscriptions) stop();
    this.#stop.abort(new Error('The server is stopping'));
    await Promise.all([this.#blobs.close(), this.urls.close()]);
    await Promise.all([this.#scrub.stop(), this.#stock]);
    await this.#verification.close();
    await this.#room.close();
    await this.#readTimes.close();
    for (const stop of this.#doubts) stop();
  }

  /** What is remembered in memory must not outlive what was taken out of the database. */
  #forget(digests: Iterable<Digest>): void {
    this.#manifests.forget(digests);
    this.#membership.forget();
    this.#pointers.forget();
    this.clearFailures();
  }

  #manifest(repository: Repository, reference: Reference, request: ManifestRequest): Promise<ManifestAnswer> {
    return reference.kind === 'tag'
      ? this.#tags.get(repository, reference.tag, request)
      : this.#manifests.byDigest(repository, reference.digest, request);
  }
}

/** A policy with its patterns compiled and its defaults filled in. */
interface Policy extends RoomLimits {
  readonly keep: boolean;
  readonly keepsManifests: boolean;
  readonly tags: TagRules;
  readonly freshness: Freshness;
  readonly keepsPlatform: PlatformFilter;
  readonly onRange: 'ingest' | 'pass';
  readonly pin: readonly string[];
  readonly notFoundFor: number;
  readonly verifyAfter: number;
}

function compilePolicy(options: CachePolicy): Policy {
  const { keep, tags = {}, onRange = 'ingest', pin = [], platforms, maxSize, minFree } = options;
  const { notFoundFor = TEN_SECONDS, verifyAfter = WEEK } = options;
  const rules = tags === 'never' ? {} : tags;
  const keepsManifests = keep && tags !== 'never';
  return {
    keep,
    keepsManifests,
    tags: rules,
    freshness: createFreshness(rules),
    keepsPlatform: platformFilter(platforms),
    onRange,
    pin,
    maxSize,
    minFree,
    notFoundFor: keepsManifests ? notFoundFor : 0,
    verifyAfter,
  };
}

/** True for a client that lists image manifests but no index, when an index is all there is. */
function wantsImageOfIndex(accept: string | undefined, mediaType: string): boolean {
  return (
    isIndexType(mediaType) &&
    !acceptsMediaType(accept, mediaType) &&
    (acceptsMediaType(accept, MEDIA_TYPES.dockerManifest) || acceptsMediaType(accept, MEDIA_TYPES.ociManifest))
  );
}
