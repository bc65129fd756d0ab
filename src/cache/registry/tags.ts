import { abortable, keyOf, Lru } from '../../lib/index.ts';
import {
  type Digest,
  type FailureKind,
  isOriginFailure,
  type OriginManifestHead,
  type OriginSource,
  type Repository,
} from '../../oci/index.ts';
import type { TagHold, TagRecord } from '../../store/index.ts';
import type { CacheOutcome, Telemetry } from '../../telemetry/index.ts';
import { coolingOf, type RepositoryBlobs, type TagHolds, type TagRecords } from '../metadata/index.ts';
import {
  type Asked,
  type Cooldown,
  type Freshness,
  isFresh,
  type NegativeCache,
  type Question,
  Revalidation,
  type RevalidationKey,
} from '../revalidation/index.ts';
import { fromOrigin, type ManifestAnswer, type ManifestRequest, type Manifests, memberOf } from './manifests.ts';

/** What may change while the server runs; asked for at each use. */
interface TagPolicy {
  readonly freshness: Freshness;
  readonly cooldown: Cooldown;
  /** False: every request for a tag reaches its upstream, and nothing is kept. */
  readonly keepsManifests: boolean;
  readonly tags: {
    /** Milliseconds after which a stale manifest is served while its upstream has not answered. @default 2000 */
    readonly staleAfter?: number;
    /** True: a stale manifest is served although its upstream no longer has the tag. @default false */
    readonly staleOnNotFound?: boolean;
  };
}

interface TagsOptions {
  readonly manifests: Manifests;
  readonly repositoryBlobs: RepositoryBlobs;
  readonly tagRecords: TagRecords;
  readonly holds: TagHolds;
  readonly negativeCache: NegativeCache;
  readonly telemetry: Telemetry;
  readonly policy: () => TagPolicy;
  readonly now?: (() => number) | undefined;
}

/** What a tag is answered from. */
interface Resolution {
  readonly record: TagRecord;
  readonly outcome: CacheOutcome;
  readonly reason: string;
  readonly upstream?: string;
  readonly warning?: string;
}

/** Where a tag pointed before it was revalidated, and where it points now. */
interface RefreshedTag {
  readonly before: Digest | undefined;
  readonly after: Digest;
}

const JOINED = 'another request had asked for the tag already';

/** Tags remembered of which only a HEAD has spoken. */
const MOST_SAID = 10_000;

/** Tags remembered that clients have changed through this server: no question outlives so many pushes. */
const MOST_CHANGED = 10_000;

/**
 * Manifests by tag. A tag record says which digest an upstream named, and when; it is served while it is fresh, and
 * revalidated after that.
 */
export class Tags {
  readonly #options: TagsOptions;
  readonly #now: () => number;
  readonly #revalidation: Revalidation<Resolution>;
  /**
   * What HEADs said of tags whose manifest was not fetched yet. It is no tag record until the manifest is stored: some
   * registries name a digest in HEAD under which they have nothing, and then their GET of the tag decides.
   */
  readonly #said = new Lru<TagRecord>({ maxWeight: MOST_SAID });
  /** When a tag was last changed through this server, by the clock of {@link TagsOptions.now}. */
  readonly #changedAt = new Lru<number>({ maxWeight: MOST_CHANGED });

  constructor(options: TagsOptions) {
    const { negativeCache, policy, now } = options;
    this.#options = options;
    this.#now = now ?? Date.now;
    this.#revalidation = new Revalidation({ negativeCache, staleAfter: () => policy().tags.staleAfter, now });
  }

  async get(repository: Repository, tag: string, request: ManifestRequest): Promise<ManifestAnswer> {
    const { manifests, policy, holds } = this.#options;
    const hold = await holds.get(repository, tag);
    if (hold !== undefined) return this.#held(repository, hold, request);
    const { keepsManifests, cooldown } = policy();
    if (!keepsManifests) {
      const passed = await manifests.ask(repository, { kind: 'tag', tag }, request);
      return { ...passed, outcome: 'PASS', reason: 'this server keeps no manifests', checkedAt: this.#now() };
    }
    const answer = await this.#current(repository, tag, request);
    const wait = cooldown(repository, tag);
    return wait === 0 ? answer : this.#cooled(repository, tag, { answer, request, cooldown: wait });
  }

  /** Answers with what the upstream says, or said. */
  async #current(repository: Repository, tag: string, request: ManifestRequest): Promise<ManifestAnswer> {
    const { freshness } = this.#options.policy();
    let record = await this.#known(repository, tag);
    if (record !== undefined && isFresh(record.checkedAt, freshness(repository, tag), this.#now())) {
      try {
        return await this.#answer(repository, { record, outcome: 'HIT', reason: 'the tag is fresh' }, request);
      } catch (error) {
        // The bytes are neither here nor upstream: the tag has moved, so it is revalidated before its time.
        if (!isAbsence(error)) throw error;
        // What a HEAD said was never true: the GET of the tag decides.
        if (this.#said.delete(keyOf(repository.registry, repository.repository, tag))) record = undefined;
      }
    }
    const key = revalidationKey(repository, tag, { record, origin: request.origin });
    return this.#revalidation.get(key, this.#question(repository, tag, { record, request }));
  }

  /**
   * Answers with the newest digest that is older than the cooldown, where what the upstream says is younger. Where there is no
   * such digest, or it can no longer be had, the answer of the upstream is served, with a warning.
   */
  async #cooled(
    repository: Repository,
    tag: string,
    how: { readonly answer: ManifestAnswer; readonly request: ManifestRequest; readonly cooldown: number },
  ): Promise<ManifestAnswer> {
    const { answer, request, cooldown } = how;
    const { digest: current, checkedAt = this.#now(), outcome, upstream } = answer;
    const reason = 'the tag points to a digest that is younger than its cooldown';
    const moves = await this.#options.tagRecords.moves(repository, tag);
    const found = coolingOf(moves, { current, cooldown, now: this.#now() });
    if (found === undefined) return answer;
    const { aged, until } = found;
    const cooling = { digest: current, until };
    const young = `the tag points to ${current}, which is younger than its cooldown until ${new Date(until).toISOString()}`;
    const warningOf = (text: string): string => [answer.warning, `${young}; ${text}`].filter(Boolean).join('; ');
    if (aged !== undefined) {
      try {
        const warning = warningOf('serving the newest digest that is older');
        const served = await this.#pointed(
          repository,
          { record: { ...aged, checkedAt }, outcome, reason, warning },
          request,
        );
        return { ...served, upstream, cooling };
      } catch (error) {
        if (!isOriginFailure(error)) throw error;
      }
    }
    return { ...answer, warning: warningOf('no older digest of it can be had'), cooling };
  }

  /** Answers with what a tag once pointed to. A HEAD of what is stored nowhere would promise what the GET cannot keep. */
  async #pointed(repository: Repository, resolution: Resolution, request: ManifestRequest): Promise<ManifestAnswer> {
    const { digest } = resolution.record;
    const isLost = request.head === true && (await this.#options.manifests.local(digest)) === undefined;
    return this.#answer(repository, resolution, isLost ? { ...request, head: false } : request);
  }

  /** Answers with the digest that the tag is held at, or with the failure to get it: never with what the upstream says now. */
  async #held(repository: Repository, hold: TagHold, request: ManifestRequest): Promise<ManifestAnswer> {
    const { heldAt, until, reason } = hold;
    const end = until === undefined ? '' : ` until ${new Date(until).toISOString()}`;
    const warning = `held at ${hold.digest}${end} by the operator of this mirror${reason === '' ? '' : `: ${reason}`}`;
    const why = 'an operator holds the tag';
    const resolution = { record: { ...hold, checkedAt: heldAt }, outcome: 'HIT', reason: why, warning } as const;
    return { ...(await this.#pointed(repository, resolution, request)), checkedAt: undefined };
  }

  /**
   * Asks where a tag points to now, held or not, fresh or not, and fetches the manifest where it is not stored.
   *
   * Rejects with the failure of the upstream.
   */
  async refresh(repository: Repository, tag: string, origin: OriginSource): Promise<RefreshedTag> {
    const { tagRecords, manifests } = this.#options;
    const record = await tagRecords.get(repository, tag);
    const key = revalidationKey(repository, tag, { record, origin });
    const found = await this.#revalidation.refresh(
      key,
      this.#question(repository, tag, { record, request: { origin } }),
    );
    const { digest } = found.record;
    if ((await manifests.local(digest)) === undefined) {
      await manifests.fetch(repository, { kind: 'digest', digest }, { origin, isTagged: true });
    }
    return { before: record?.digest, after: digest };
  }

  /**
   * Notes where a push through this server has set a tag. A question that is on its way was asked before, so its answer is not
   * noted.
   *
   * @param manifest undefined where it is not kept: the next request asks the upstream
   * @returns where the tag pointed before, as far as that is known
   */
  async pushed(
    repository: Repository,
    tag: string,
    manifest: OriginManifestHead | undefined,
  ): Promise<Digest | undefined> {
    const { tagRecords, negativeCache } = this.#options;
    const key = keyOf(repository.registry, repository.repository, tag);
    const before = await tagRecords.get(repository, tag);
    this.changed(repository, tag);
    negativeCache.forget(key);
    if (manifest !== undefined) {
      const { digest, mediaType, size, upstream, visibility } = manifest;
      await tagRecords.put(repository, tag, { digest, mediaType, size, upstream, visibility, checkedAt: this.#now() });
    } else if (before !== undefined) {
      await tagRecords.put(repository, tag, { ...before, checkedAt: 0 });
    }
    return before?.digest;
  }

  /** Notes where a tag pointed by a bundle: as after a push, what is being asked about it now comes too late. */
  async carried(repository: Repository, tag: string, record: TagRecord): Promise<void> {
    this.changed(repository, tag);
    this.#options.negativeCache.forget(keyOf(repository.registry, repository.repository, tag));
    await this.#options.tagRecords.put(repository, tag, record);
  }

  /** Says that a client has changed a tag at the upstream: what is being asked about it now comes too late. */
  changed(repository: Repository, tag: string): void {
    const key = keyOf(repository.registry, repository.repository, tag);
    this.#changedAt.set(key, this.#now());
    this.#said.delete(key);
  }

  /** Whether clients get by the tag what this server decides, and not what the upstream says: it is held, or cools down. */
  async isSteered(repository: Repository, tag: string): Promise<boolean> {
    const { holds, policy } = this.#options;
    return policy().cooldown(repository, tag) > 0 || (await holds.get(repository, tag)) !== undefined;
  }

  /** Forgets which tags failed and which registries do not answer. */
  clearFailures(): void {
    this.#said.clear();
    this.#revalidation.clearFailures();
  }

  /** The tag record or, without one, what a HEAD said. */
  async #known(repository: Repository, tag: string): Promise<TagRecord | undefined> {
    const { tagRecords, manifests } = this.#options;
    const record = await tagRecords.get(repository, tag);
    const said =
      record === undefined ? this.#said.get(keyOf(repository.registry, repository.repository, tag)) : undefined;
    if (said !== undefined && (await manifests.local(said.digest)) !== undefined) {
      await this.#note(repository, tag, { record: said, isStored: true });
    }
    return record ?? said;
  }

  /** Remembers where a tag points: for good where its manifest is stored. */
  async #note(
    repository: Repository,
    tag: string,
    {
      record,
      isStored,
      askedAt,
    }: { readonly record: TagRecord; readonly isStored: boolean; readonly askedAt?: number },
  ): Promise<void> {
    const key = keyOf(repository.registry, repository.repository, tag);
    if (askedAt !== undefined && (this.#changedAt.get(key) ?? -1) >= askedAt) return;
    if (!isStored) return this.#said.set(key, record);
    this.#said.delete(key);
    await this.#options.tagRecords.put(repository, tag, record);
  }

  #question(
    repository: Repository,
    tag: string,
    { record, request }: { readonly record: TagRecord | undefined; readonly request: ManifestRequest },
  ): Question<Resolution, ManifestAnswer> {
    return {
      ask: () => this.#ask(repository, tag, { record, request }),
      stale: record && ((reason) => this.#stale(repository, tag, { record, reason, request })),
      answer: (found, { joined }) =>
        this.#answer(repository, joined ? { ...found, outcome: 'JOIN', reason: JOINED } : found, request),
      signal: request.signal,
    };
  }

  /** Serves the record as stale; undefined where its manifest is not stored. */
  async #stale(
    repository: Repository,
    tag: string,
    how: { readonly record: TagRecord; readonly reason: string; readonly request: ManifestRequest },
  ): Promise<ManifestAnswer | undefined> {
    const { record, reason, request } = how;
    if ((await this.#options.manifests.local(record.digest)) === undefined) return undefined;
    const warning = `${reason}; serving what ${record.upstream} said before`;
    this.#decide(repository, tag, 'STALE', warning);
    return this.#answer(repository, { record, outcome: 'STALE', reason, warning }, request);
  }

  /** Asks the upstreams where a tag points to now. */
  async #ask(
    repository: Repository,
    tag: string,
    { record: known, request }: { readonly record: TagRecord | undefined; readonly request: ManifestRequest },
  ): Promise<Asked<Resolution>> {
    const { manifests, repositoryBlobs } = this.#options;
    const { origin } = request;
    const reference = { kind: 'tag', tag } as const;
    const askedAt = this.#now();
    let hasMoved = false;
    let isStored = true;
    try {
      let head: OriginManifestHead;
      if (known === undefined && request.head !== true) {
        head = await manifests.fetch(repository, reference, { origin, isTagged: true });
      } else {
        // A HEAD is free where a GET counts as a pull.
        head = await (await origin()).headManifest(repository, reference);
        hasMoved = known !== undefined && head.digest !== known.digest;
        isStored = (await manifests.local(head.digest)) !== undefined;
        if (hasMoved || (!isStored && request.head !== true)) {
          // The new manifest is stored before the record changes, for a HEAD too: while it cannot be fetched, the old image
          // still can, and HEAD and GET agree.
          head = await this.#bring(repository, tag, { head, origin });
          hasMoved = head.digest !== known?.digest;
          isStored = true;
        } else {
          await repositoryBlobs.add(repository, [memberOf(head)]);
        }
      }
      const { digest, mediaType, size, upstream, visibility } = head;
      const record = { digest, mediaType, size, upstream, visibility, checkedAt: this.#now() };
      await this.#note(repository, tag, { record, isStored, askedAt });
      const outcome = known !== undefined && !hasMoved ? 'REVALIDATED' : 'MISS';
      const reason = outcome === 'MISS' ? 'the tag is new or has moved' : 'the tag has not moved';
      this.#decide(repository, tag, outcome, reason);
      return { answer: { record, outcome, reason, upstream } };
    } catch (thrown) {
      const error = thrown instanceof Error ? thrown : new Error(String(thrown));
      const kind = isOriginFailure(error) ? error.kind : undefined;
      const { staleOnNotFound = false } = this.#options.policy().tags;
      return { failure: { error, isRefusal: !mayBeStale(kind, { hasMoved, staleOnNotFound }) } };
    }
  }

  /**
   * Stores the manifest that a tag points to. Where the upstream has nothing under the digest that its HEAD named, its GET
   * decides: some registries name another digest, and the tag may have moved on and its old manifest been deleted.
   */
  async #bring(
    repository: Repository,
    tag: string,
    { head, origin }: { readonly head: OriginManifestHead; readonly origin: OriginSource },
  ): Promise<OriginManifestHead> {
    const { manifests } = this.#options;
    const bytes = await manifests.local(head.digest);
    if (bytes !== undefined) {
      await manifests.note(repository, { ...head, bytes });
      return head;
    }
    try {
      await manifests.fetch(repository, { kind: 'digest', digest: head.digest }, { origin, isTagged: true });
      return head;
    } catch (error) {
      if (!isAbsence(error)) throw error;
      return manifests.fetch(repository, { kind: 'tag', tag }, { origin, isTagged: true });
    }
  }

  async #answer(repository: Repository, resolution: Resolution, request: ManifestRequest): Promise<ManifestAnswer> {
    const { manifests } = this.#options;
    const { record, outcome, reason, upstream, warning } = resolution;
    const { digest, mediaType, size, checkedAt } = record;
    if (request.head === true) {
      return { digest, mediaType, size, bytes: undefined, outcome, reason, upstream, checkedAt, warning };
    }
    const bytes = await manifests.local(digest);
    if (bytes !== undefined) {
      await manifests.noteKept(repository, record, bytes);
      return { digest, mediaType, size, bytes, outcome, reason, upstream, checkedAt, warning };
    }
    const reference = { kind: 'digest', digest } as const;
    const fetching = manifests.fetch(repository, reference, { origin: request.origin, isTagged: true });
    const manifest = await abortable(fetching, request.signal);
    return { ...fromOrigin(manifest, manifest.bytes), checkedAt, warning };
  }

  #decide(repository: Repository, reference: string, outcome: CacheOutcome, reason: string): void {
    const { telemetry } = this.#options;
    if (telemetry.hears('cache.decision')) {
      telemetry.publish('cache.decision', { ...repository, reference, outcome, reason });
    }
  }
}

/** True where an upstream has nothing, or something else, under a digest. */
function isAbsence(error: unknown): boolean {
  return isOriginFailure(error) && (error.kind === 'not-found' || error.kind === 'invalid');
}

/**
 * Whether a stale manifest is better than this failure: it may be over soon, or the new manifest cannot be fetched although
 * the tag points to it. A client that is denied access has no claim to the old manifest either.
 */
function mayBeStale(
  kind: FailureKind | undefined,
  { hasMoved, staleOnNotFound }: { readonly hasMoved: boolean; readonly staleOnNotFound: boolean },
): boolean {
  if (kind === 'denied') return false;
  if (hasMoved || kind === 'offline' || kind === 'unavailable' || kind === 'throttled' || kind === 'loop') return true;
  return kind === 'not-found' && staleOnNotFound;
}

function revalidationKey(
  { registry, repository }: Repository,
  tag: string,
  { record, origin: { hops } }: { readonly record: TagRecord | undefined; readonly origin: OriginSource },
): RevalidationKey {
  return { id: keyOf(registry, repository, tag), hops, registry, upstream: record?.upstream ?? registry };
}
