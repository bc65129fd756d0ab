import { inTurns } from '../lib/index.ts';
import {
  type AnonymousSources,
  acceptsMediaType,
  type Digest,
  MEDIA_TYPES,
  parseManifest,
  pickPlatform,
  type Reference,
  type Repository,
} from '../oci/index.ts';
import type { BlobStore, HoldEntry, MetadataStore, TagHold } from '../store/index.ts';
import type { Telemetry } from '../telemetry/index.ts';
import {
  CacheCapacity,
  type Collected,
  type CollectOptions,
  type DiskSpace,
  type Pause,
  type Purged,
  type PurgeOptions,
  purge,
  retainedDigests,
  retentionRule,
} from './eviction/index.ts';
import { isReconciliationDue, reconcile, Scrub, Verification } from './integrity/index.ts';
import {
  ReadTimes,
  RepositoryBlobs,
  type Selection,
  type TagHistory,
  TagHolds,
  TagPins,
  TagRecords,
  tagHistory,
  type UrlSelection,
} from './metadata/index.ts';
import { type CachePolicy, type CompiledPolicy, compilePolicy } from './policy.ts';
import {
  type BlobAnswer,
  type BlobHead,
  type BlobRequest,
  Blobs,
  Carried,
  HoldError,
  type ManifestAnswer,
  type ManifestRequest,
  Manifests,
  type Outlook,
  outlookOf,
  Pushed,
  type Refreshed,
  type RollbackRequest,
  type RolledBack,
  refresh,
  rollback,
  type TagRefreshOptions,
  Tags,
} from './registry/index.ts';
import { NegativeCache } from './revalidation/index.ts';
import type { Ingest } from './transfer/index.ts';
import { InUse, PartialContent, releasing } from './transfer/index.ts';
import { UrlCache } from './url/index.ts';
import { RepositoryVisibilities } from './visibility/index.ts';

export interface PullThroughOptions extends CachePolicy {
  readonly store: BlobStore;
  readonly metadata: MetadataStore;
  readonly telemetry: Telemetry;
  /** Measures the disk; undefined: `minFree` has no effect. */
  readonly disk?: (() => Promise<DiskSpace>) | undefined;
  /** Bytes of manifests held in memory. */
  readonly manifestsInMemory?: number;
  /** When rows and files last agreed, milliseconds since the epoch; undefined where that is not known. */
  readonly reconciledAt?: number | undefined;
  readonly now?: () => number;
}

interface NegotiatedRequest extends ManifestRequest {
  /** The client's `Accept` headers, joined. */
  readonly accept?: string | undefined;
}

/** The cache as a server uses it: have it, join it or get it. */
export class PullThrough {
  /** Answers of mirrored sites, kept beside the images. */
  readonly urls: UrlCache;
  /** Which repositories every client may see. */
  readonly visibilities: RepositoryVisibilities;
  /** Keeps what is pushed to an upstream through this server. */
  readonly pushed: Pushed;
  /** Keeps what is imported from a bundle. */
  readonly carried: Carried;
  /** The tags whose images operators want kept. */
  readonly pins: TagPins;
  /** Checks everything that is stored. */
  readonly scrub: Scrub;
  readonly #options: PullThroughOptions;
  readonly #now: () => number;
  #policy: CompiledPolicy;
  readonly #blobs: Blobs;
  readonly #manifests: Manifests;
  readonly #readTimes: ReadTimes;
  readonly #verification: Verification;
  readonly #repositoryBlobs: RepositoryBlobs;
  readonly #tagRecords: TagRecords;
  readonly #holds: TagHolds;
  readonly #tags: Tags;
  readonly #negativeCache: NegativeCache;
  readonly #inUse = new InUse();
  readonly #partials: PartialContent;
  readonly #capacity: CacheCapacity;
  readonly #subscriptions: readonly (() => void)[];
  readonly #dirtySubscriptions: readonly (() => void)[];
  readonly #stop = new AbortController();
  #reconciliation: Promise<void> = Promise.resolve();
  #reconciledAt: number | undefined;
  #isDirty = false;

  constructor(options: PullThroughOptions) {
    const { store, metadata, telemetry, manifestsInMemory, now = Date.now } = options;
    this.#options = options;
    this.#now = now;
    this.#reconciledAt = options.reconciledAt;
    this.#policy = compilePolicy(options);
    // A function and not a value, everywhere: it is called at each use, as reconfigure() replaces the policy.
    const policy = (): CompiledPolicy => this.#policy;
    const repositoryBlobs = new RepositoryBlobs(metadata, telemetry);
    const readTimes = new ReadTimes(metadata, telemetry);
    const tagRecords = new TagRecords(metadata, telemetry);
    const holds = new TagHolds({ metadata, telemetry, now });
    const negativeCache = new NegativeCache({ notFoundFor: () => policy().notFoundFor, now });
    const verification = new Verification({
      store,
      metadata,
      telemetry,
      verifyAfter: () => policy().verifyAfter,
      now,
    });
    const partials = new PartialContent({ store: store.partials, limits: policy, telemetry, now });
    const capacity = new CacheCapacity({
      store,
      metadata,
      telemetry,
      limits: policy,
      partials,
      disk: options.disk,
      transfers: () => this.transfers,
      retained: () =>
        retainedDigests({
          metadata,
          store,
          isRetained: retentionRule({ ...policy(), now }),
          cooldown: policy().cooldown,
          now: now(),
        }),
      isInUse: (digest) => this.#inUse.has(digest),
      onEvict: (digest) => this.#manifests.lost(digest),
      onTrim: () => this.#forgetRows(),
      prepare: () => readTimes.flush(),
      now,
    });
    const shared = { store, metadata, repositoryBlobs, verification, readTimes, telemetry, capacity, policy };
    this.#readTimes = readTimes;
    this.#verification = verification;
    this.#repositoryBlobs = repositoryBlobs;
    this.#tagRecords = tagRecords;
    this.#holds = holds;
    this.pins = new TagPins({ metadata, telemetry, now });
    this.#negativeCache = negativeCache;
    this.#capacity = capacity;
    this.#partials = partials;
    this.#blobs = new Blobs({ ...shared, partials });
    this.urls = new UrlCache({ ...shared, inUse: this.#inUse, now });
    this.#manifests = new Manifests({ ...shared, negativeCache, memory: manifestsInMemory });
    this.#tags = new Tags({ ...shared, manifests: this.#manifests, tagRecords, holds, negativeCache, now });
    this.carried = new Carried({ ...shared, manifests: this.#manifests, tags: this.#tags, tagRecords });
    this.pushed = new Pushed({ ...shared, manifests: this.#manifests, tags: this.#tags });
    this.visibilities = new RepositoryVisibilities({
      metadata,
      telemetry,
      policy,
      privateAdds: () => repositoryBlobs.privateAdds,
      now,
    });
    this.scrub = new Scrub({ store, metadata, telemetry, verification });
    const look = (): void => capacity.look();
    this.#subscriptions = [
      telemetry.on('ingest.started', look),
      telemetry.on('ingest.finished', look),
      telemetry.on('names.recovered', () => {
        void holds.restore();
        void this.pins.restore();
        this.reconcile();
      }),
      telemetry.on('blob.rotten', ({ digest }) => this.#manifests.lost(digest)),
    ];
    // A failed write or removal may have left a file without a row. It may be the last event before the server stops.
    const markDirty = (): void => {
      this.#isDirty = true;
    };
    this.#dirtySubscriptions = [telemetry.on('warning', markDirty), telemetry.on('cache.paused', markDirty)];
    // The limits may have been lowered since the last start.
    look();
  }

  /** Applies another policy from now on; running transfers continue under the policy they began with. */
  reconfigure(policy: CachePolicy): void {
    this.#policy = compilePolicy(policy);
    // The platforms that are kept may have changed.
    this.#manifests.forget([]);
    this.#capacity.look(true);
  }

  /** Forgets what upstreams do not have, and which of them fail or do not answer: the upstreams may have been replaced. */
  clearFailures(): void {
    this.#negativeCache.clear();
    this.#tags.clearFailures();
    this.urls.clearFailures();
    // A repository may have been found public at an upstream that was replaced.
    this.visibilities.forget();
  }

  /** The transfers that run now. */
  get transfers(): Iterable<Ingest> {
    return [...this.#blobs.transfers, ...this.urls.transfers];
  }

  /**
   * @throws {OciError} where the answer to the client is known
   * @throws {OriginFailure} where the origin failed
   */
  async manifest(repository: Repository, reference: Reference, request: NegotiatedRequest): Promise<ManifestAnswer> {
    const answer =
      reference.kind === 'tag'
        ? await this.#tags.get(repository, reference.tag, request)
        : await this.#manifests.byDigest(repository, reference.digest, request);
    // A client that asks by digest checks it, and would refuse anything else.
    if (reference.kind === 'digest' || !wantsImageOfList(request.accept, answer.mediaType)) return answer;
    // An old Docker that knows no manifest list: it gets the image for linux/amd64, as from other registries.
    const bytes =
      answer.bytes ?? (await this.#manifests.byDigest(repository, answer.digest, { ...request, head: false })).bytes;
    if (bytes === undefined) return answer;
    const child = pickPlatform(await inTurns(parseManifest(bytes, answer.mediaType)), {
      os: 'linux',
      architecture: 'amd64',
    });
    if (child === undefined) return answer;
    const image = await this.#manifests.byDigest(repository, child.digest, request);
    const outcome = answer.outcome === 'STALE' ? answer.outcome : image.outcome;
    const { checkedAt, warning, cooling } = answer;
    const reason = answer.outcome === 'STALE' ? answer.reason : image.reason;
    return { ...image, outcome, reason, checkedAt, warning, ...(cooling && { cooling }) };
  }

  /** As {@link manifest}; the reader of the answer must be closed. */
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

  /** Bytes of a blob; undefined where they are not known. Of a blob that a manifest names, no upstream is asked. */
  blobSize(repository: Repository, digest: Digest, request: BlobRequest): Promise<number | undefined> {
    return this.#blobs.size(repository, digest, request);
  }

  /** Blobs and bytes on disk. */
  totals(): Promise<{ readonly blobs: number; readonly bytes: number }> {
    return this.#options.metadata.totals();
  }

  /** What has come of blobs whose transfers ended early, and no transfer goes on with now. */
  partialTotals(): Promise<{ readonly count: number; readonly bytes: number }> {
    return this.#partials.totals();
  }

  /** Why nothing is kept now; undefined while content is kept. */
  get pause(): Pause | undefined {
    return this.#capacity.pause;
  }

  /** Evicts until the disk is free enough again, soon: something else than a transfer has taken room. */
  makeRoom(): void {
    this.#capacity.look();
  }

  /** Evicts what exceeds the limits, or says what would be evicted. */
  collect(options: CollectOptions): Promise<Collected> {
    return this.#capacity.collect(options);
  }

  /** Forgets images, tags, digests or URLs, and removes the blobs that belong to no other. Transfers and readers go on. */
  async purge(selections: readonly (Selection | UrlSelection)[], options: PurgeOptions = {}): Promise<Purged> {
    const { store, metadata } = this.#options;
    const onForget = (digests: Iterable<Digest>): void => this.#forget(digests);
    const unpin = (repository: Repository, tag: string): Promise<boolean> => this.pins.end(repository, tag);
    const makeRoom = (): Promise<void> => this.#capacity.makeRoomForRows();
    const tools = { store, metadata, partials: this.#partials, onForget, unpin, makeRoom };
    const purged = await purge(selections, { ...tools, now: this.#now(), ...options });
    this.#capacity.look(purged.blobs > 0 && !purged.dryRun);
    return purged;
  }

  /**
   * Forgets what a client has deleted at the upstream through this server. A tag, or a digest with the tags that point to it; what
   * a tag is held at stays.
   *
   * @returns the tags, and where they pointed
   */
  async forgetDeleted({ registry, repository }: Repository, reference: Reference): Promise<Purged['tags']> {
    const name = { repository: `${registry}/${repository}` };
    if (reference.kind === 'digest') {
      const { tags } = await this.purge([{ ...name, digest: reference.digest }]);
      for (const { tag } of tags) this.#tags.changed({ registry, repository }, tag);
      return tags;
    }
    this.#tags.changed({ registry, repository }, reference.tag);
    return (await this.purge([{ ...name, tag: reference.tag }])).tags;
  }

  /**
   * Whether a mirrored repository is known to have a blob, stored or not. No upstream is asked.
   *
   * @param anonymous given: only where every client is known to see it there
   */
  async isMember(
    repository: Repository,
    digest: Digest,
    { anonymous }: { readonly anonymous?: { readonly sources: AnonymousSources | undefined } } = {},
  ): Promise<boolean> {
    const member = await this.#repositoryBlobs.get(repository, digest);
    if (member === undefined || anonymous === undefined) return member !== undefined;
    // What a credential has read may be private although its repository is public.
    if (member.visibility === 'private') return false;
    return this.visibilities.isKnownPublic(repository, anonymous.sources);
  }

  /** Bytes of a stored blob, whatever repository it belongs to: for what is known to belong. Undefined where it is not stored. */
  storedSize(digest: Digest): Promise<number | undefined> {
    return this.#verification.size(digest, undefined);
  }

  /** Keeps a digest from being evicted until the returned function is called. What an operator purges goes all the same. */
  hold(digest: Digest): () => void {
    return this.#inUse.hold(digest);
  }

  /** Whether clients get by a tag what this server decides, and not what the upstream says: it is held, or cools down. */
  isSteered(repository: Repository, tag: string): Promise<boolean> {
    return this.#tags.isSteered(repository, tag);
  }

  /** What the next request for a manifest of a mirrored repository finds here. No upstream is asked, and nothing changes. */
  outlook(repository: Repository, reference: Reference): Promise<Outlook> {
    const { metadata, store } = this.#options;
    const [policy, now] = [this.#policy, this.#now()];
    return outlookOf(repository, reference, { metadata, store, holds: this.#holds, policy, now });
  }

  /** Asks where tags point to now, and fetches the manifests that moved. */
  refresh(selections: readonly Selection[], options: TagRefreshOptions): Promise<readonly Refreshed[]> {
    return refresh(selections, { metadata: this.#options.metadata, tags: this.#tags, ...options });
  }

  /** Where the selected tags pointed. `omitted`: tags that were left out of a long answer. */
  history(selection: Selection): Promise<{ readonly tags: readonly TagHistory[]; readonly omitted: number }> {
    const { metadata, store } = this.#options;
    return tagHistory(selection, { metadata, store, now: this.#now() });
  }

  /**
   * Holds a tag at a digest that it pointed to: its manifest is fetched from the upstream where it is not stored.
   *
   * Rejects with a `HoldError`, and with the failure of the upstream.
   */
  rollback(request: RollbackRequest, { originFor }: Pick<TagRefreshOptions, 'originFor'>): Promise<RolledBack> {
    const { metadata, store } = this.#options;
    const manifests = this.#manifests;
    return rollback(request, {
      metadata,
      store,
      holds: this.#holds,
      now: this.#now(),
      obtain: async (repository, move) => {
        if (!this.#policy.keepsManifests) throw new HoldError('this server keeps no manifests, by `cache.tags: never`');
        const { digest } = move;
        const bytes = await manifests.local(digest);
        if (bytes !== undefined) return manifests.note(repository, { ...move, bytes });
        const origin = originFor(repository.registry);
        await manifests.fetch(repository, { kind: 'digest', digest }, { origin, isTagged: true });
      },
    });
  }

  /** Ends the hold of a tag; undefined where it is not held. */
  unhold(repository: Repository, tag: string): Promise<TagHold | undefined> {
    return this.#holds.end(repository, tag);
  }

  /** The held tags. */
  holds(): Promise<readonly HoldEntry[]> {
    return this.#holds.list();
  }

  /**
   * When rows and files last agreed, where nothing has happened since that could have parted them. It is stored when the
   * server stops, so that the next start need not reconcile. Undefined where it should.
   */
  get reconciledAt(): number | undefined {
    return this.#isDirty ? undefined : this.#reconciledAt;
  }

  /** Whether rows and files should be reconciled: it is not known that they agree, or not for long enough. */
  get isReconciliationDue(): boolean {
    return isReconciliationDue(this.#reconciledAt, this.#now());
  }

  /** Makes the rows of stored blobs agree with their files, in the background. A failure is published as a warning. */
  reconcile(): void {
    this.#reconciledAt = undefined;
    this.#isDirty = false;
    this.#reconciliation = this.#reconciliation.then(() => this.#reconcile());
  }

  async #reconcile(): Promise<void> {
    const { store, metadata, telemetry } = this.#options;
    const { signal } = this.#stop;
    try {
      await reconcile({ store, metadata, telemetry, signal });
      this.#reconciledAt = this.#now();
      this.#capacity.look();
    } catch (error) {
      if (!signal.aborted) telemetry.publish('warning', { message: 'Cannot reconcile the stored blobs', error });
    }
  }

  /** Ends every transfer and writes what is pending. */
  async close(): Promise<void> {
    for (const stop of this.#subscriptions) stop();
    this.#stop.abort(new Error('The server is stopping'));
    await Promise.all([this.#blobs.close(), this.urls.close(), this.pushed.close()]);
    await Promise.all([this.scrub.stop(), this.#reconciliation]);
    await this.#verification.close();
    await this.#capacity.close();
    await this.#partials.close();
    await this.#readTimes.close();
    for (const stop of this.#dirtySubscriptions) stop();
  }

  /** Memory must not outlive what was deleted from the database. */
  #forget(digests: Iterable<Digest>): void {
    this.#forgetRows();
    this.#manifests.forget(digests);
    this.clearFailures();
  }

  #forgetRows(): void {
    this.#manifests.forget([]);
    this.#repositoryBlobs.forget();
    this.#tagRecords.forget();
  }
}

/**
 * True for a client that accepts image manifests but no manifest list, where the answer is Docker's list. An OCI index is never
 * replaced: registries give it to any client, which reads it (its `Accept` is merely short) or refuses it by name.
 */
function wantsImageOfList(accept: string | undefined, mediaType: string): boolean {
  return (
    mediaType === MEDIA_TYPES.dockerList &&
    !acceptsMediaType(accept, mediaType) &&
    (acceptsMediaType(accept, MEDIA_TYPES.dockerManifest) || acceptsMediaType(accept, MEDIA_TYPES.ociManifest))
  );
}
