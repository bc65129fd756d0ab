import { setImmediate as nextTurn } from 'node:timers/promises';
import {
  abortable,
  inTurns,
  keyOf,
  Lru,
  mapInPieces,
  ownBytes,
  PIECE,
  type Pieces,
  SingleFlight,
} from '../../lib/index.ts';
import {
  type Digest,
  formatReference,
  isIndexType,
  isMediaType,
  isOriginFailure,
  OciError,
  type OriginManifest,
  type OriginManifestHead,
  type OriginSource,
  parseManifest,
  type Reference,
  type Repository,
} from '../../oci/index.ts';
import type { BlobStore, MemberRecord } from '../../store/index.ts';
import type { CacheOutcome, Telemetry } from '../../telemetry/index.ts';
import type { Capacity } from '../capacity.ts';
import type { Verification } from '../integrity/index.ts';
import type { ReadTimes, RepositoryBlobs } from '../metadata/index.ts';
import type { NegativeCache } from '../revalidation/index.ts';
import { REASONS } from './blob-answer.ts';
import type { PlatformFilter } from './platforms.ts';
import { readStoredManifest } from './stored-manifest.ts';

/** What may change while the server runs; asked for at each use. */
interface ManifestPolicy {
  /** False: every manifest comes from its upstream, and none is kept. */
  readonly keepsManifests: boolean;
  /** Which children of an index are kept. */
  readonly keepsPlatform: PlatformFilter;
}

interface ManifestsOptions {
  readonly store: BlobStore;
  readonly repositoryBlobs: RepositoryBlobs;
  readonly verification: Verification;
  readonly negativeCache: NegativeCache;
  readonly readTimes: ReadTimes;
  readonly telemetry: Telemetry;
  readonly capacity: Capacity;
  readonly policy: () => ManifestPolicy;
  /** Bytes of manifests held in memory. @default 33_554_432 */
  readonly memory?: number | undefined;
}

export interface ManifestRequest {
  /** Which upstreams to ask. */
  readonly origin: OriginSource;
  /** True where the client wants the head alone: then `bytes` may be missing from the answer. */
  readonly head?: boolean;
  readonly signal?: AbortSignal | undefined;
}

export interface ManifestAnswer {
  readonly digest: Digest;
  readonly mediaType: string;
  readonly size: number;
  /** Always there unless the request was for the head alone. */
  readonly bytes: Buffer | undefined;
  readonly outcome: CacheOutcome;
  /** Why that. */
  readonly reason?: string | undefined;
  /** The upstream that answered, where one was asked. */
  readonly upstream: string | undefined;
  /** When an upstream last confirmed the tag; undefined for a digest. Milliseconds since the epoch. */
  readonly checkedAt: number | undefined;
  /** Why the answer is stale or not what the upstream says, where it is. */
  readonly warning: string | undefined;
  /** Where the tag points to a digest younger than its cooldown: that digest, and when it is old enough. */
  readonly cooling?: { readonly digest: Digest; readonly until: number };
}

const DEFAULT_MEMORY = 32 * 1024 * 1024;

/** Manifests remembered whose contents are recorded for their repository. */
const NOTED = 10_000;

/** Bytes that one entry takes besides its manifest. */
const ENTRY_OVERHEAD = 256;

/** A manifest in memory. */
interface Remembered {
  readonly bytes: Buffer;
  /** False: the disk had no room for it, refused it, or has lost its file since. */
  isStored: boolean;
}

/** Manifests by digest, which never change. */
export class Manifests {
  readonly #options: ManifestsOptions;
  readonly #memory: Lru<Remembered>;
  /** Manifests whose children and blobs are recorded for their repository. */
  readonly #noted = new Lru<true>({ maxWeight: NOTED });
  readonly #fetching = new SingleFlight<OriginManifest>();
  readonly #heading = new SingleFlight<OriginManifestHead>();

  constructor(options: ManifestsOptions) {
    this.#options = options;
    this.#memory = new Lru({
      maxWeight: options.memory ?? DEFAULT_MEMORY,
      weigh: ({ bytes }) => bytes.length + ENTRY_OVERHEAD,
    });
  }

  async byDigest(repository: Repository, digest: Digest, request: ManifestRequest): Promise<ManifestAnswer> {
    const member = await this.#options.repositoryBlobs.get(repository, digest);
    if (member !== undefined && member.kind === 'manifest' && member.mediaType !== '') {
      const bytes = await this.local(digest);
      if (bytes !== undefined) {
        await this.#noteNamed(repository, member, bytes);
        return held(member, bytes);
      }
    }
    return this.ask(repository, { kind: 'digest', digest }, request);
  }

  /**
   * Asks the upstream. Requests for the same reference that come meanwhile, past as many servers, share the answer, or its
   * "not found".
   */
  async ask(repository: Repository, reference: Reference, request: ManifestRequest): Promise<ManifestAnswer> {
    const { negativeCache } = this.#options;
    const { origin, signal } = request;
    const key = keyOf(repository.registry, repository.repository, formatReference(reference));
    negativeCache.assertNotMissing(key);
    try {
      const flight = flightOf(key, origin);
      if (request.head === true && !this.#fetching.has(flight)) {
        const heading = this.#heading.run(flight, async () => (await origin()).headManifest(repository, reference));
        return fromOrigin(await abortable(heading, signal), undefined);
      }
      const joined = this.#fetching.has(flight);
      const isTagged = reference.kind === 'tag';
      const manifest = await abortable(this.fetch(repository, reference, { origin, isTagged }), signal);
      return {
        ...fromOrigin(manifest, manifest.bytes),
        ...(joined ? { outcome: 'JOIN', reason: REASONS.joined } : {}),
      };
    } catch (error) {
      if (isOriginFailure(error) && error.kind === 'not-found') negativeCache.note(key, error);
      throw error;
    }
  }

  /** The bytes of a stored manifest, verified; undefined where it is not stored. Corrupt ones are quarantined. */
  async local(digest: Digest): Promise<Buffer | undefined> {
    const { verification, readTimes } = this.#options;
    const remembered = this.#memory.get(digest);
    if (remembered !== undefined) {
      // A popular manifest is read from memory: without this its file would be the first to be evicted.
      readTimes.note(digest);
      // Without its file the manifest would be lost at the next start, and its layers belong to no image.
      await this.#storeRemembered(digest, remembered);
      return remembered.bytes;
    }
    const bytes = await readStoredManifest(digest, verification);
    if (bytes === undefined) return undefined;
    readTimes.note(digest);
    this.#memory.set(digest, { bytes: ownBytes(bytes), isStored: true });
    return bytes;
  }

  /**
   * Fetches a manifest and keeps it. Requests for the same reference that come meanwhile share the answer.
   *
   * @param isTagged a tag points to it: it is kept, whatever its platform
   */
  fetch(
    repository: Repository,
    reference: Reference,
    { origin, isTagged }: Pick<ManifestRequest, 'origin'> & { readonly isTagged: boolean },
  ): Promise<OriginManifest> {
    const key = keyOf(repository.registry, repository.repository, formatReference(reference));
    return this.#fetching.run(flightOf(key, origin), async () => {
      const manifest = await (await origin()).getManifest(repository, reference);
      await this.#keep(repository, manifest, isTagged);
      return manifest;
    });
  }

  /** Keeps a manifest that a client has pushed to the upstream through this server, and forgets that it was missing. */
  async pushed(repository: Repository, manifest: OriginManifest, isTagged: boolean): Promise<void> {
    await this.#keep(repository, manifest, isTagged);
    this.#options.negativeCache.forget(keyOf(repository.registry, repository.repository, manifest.digest));
  }

  /** Records for a repository what a manifest names that was stored already. */
  async note(repository: Repository, manifest: OriginManifest): Promise<void> {
    const { repositoryBlobs, policy } = this.#options;
    await repositoryBlobs.add(repository, await inTurns(membersOf(manifest, policy())));
  }

  /**
   * Records which images of a stored index are kept: when it was stored, the platforms may have been others. An index that
   * cannot be parsed is still served: its upstream called it an index.
   */
  async noteKept(repository: Repository, index: ManifestSeen, bytes: Buffer): Promise<void> {
    if (!isIndexType(index.mediaType)) return;
    try {
      await this.#noteNamed(repository, index, bytes);
    } catch (error) {
      if (!(error instanceof OciError)) throw error;
    }
  }

  /**
   * Records for a repository what a manifest names that was stored through another one: the index of this repository names
   * the manifest, and only the manifest names the layers. Also refuses a manifest that is not of the type that its index
   * says (CVE-2021-41190).
   */
  async #noteNamed(repository: Repository, member: ManifestSeen, bytes: Buffer): Promise<void> {
    const key = keyOf(repository.registry, repository.repository, member.digest);
    if (this.#noted.get(key) === true) return;
    const { repositoryBlobs, policy } = this.#options;
    const { keepsPlatform } = policy();
    const { mediaType, digest, visibility, transient: isTransient = false } = member;
    const manifest = { digest, mediaType, bytes, size: bytes.length, visibility, upstream: repository.registry };
    const named = (await inTurns(membersOf(manifest, { keepsPlatform, isTransient }))).slice(1);
    const changed: MemberRecord[] = [];
    for (let first = 0; first < named.length; first += PIECE) {
      // Each read of the database holds the event loop.
      if (first > 0) await nextTurn();
      for (const each of named.slice(first, first + PIECE)) {
        const before = await repositoryBlobs.get(repository, each.digest);
        if (before === undefined || (before.transient === true && each.transient !== true)) changed.push(each);
      }
    }
    if (changed.length > 0) await repositoryBlobs.add(repository, changed);
    this.#noted.set(key, true);
  }

  /** Reports that the file of a manifest is lost: where its bytes are in memory, the next read stores them again. */
  lost(digest: Digest): void {
    const remembered = this.#memory.get(digest);
    if (remembered !== undefined) remembered.isStored = false;
  }

  /** Drops manifests from memory. */
  forget(digests: Iterable<Digest>): void {
    this.#noted.clear();
    for (const digest of digests) this.#memory.delete(digest);
  }

  /** Records what a manifest names, and stores it. A disk that refuses it costs the next pull, not this one. */
  async #keep(repository: Repository, manifest: OriginManifest, isTagged: boolean): Promise<void> {
    const { repositoryBlobs, policy } = this.#options;
    const { keepsManifests, keepsPlatform } = policy();
    const { digest, bytes } = manifest;
    const isTransient = !isTagged && (await repositoryBlobs.get(repository, digest))?.transient === true;
    const members = await inTurns(membersOf(manifest, { keepsPlatform, isTransient }));
    const isLarge = members.length > LARGE_MANIFEST;
    await repositoryBlobs.add(repository, members);
    if (isLarge) this.#options.capacity.look();
    if (!keepsManifests || isTransient) return;
    const remembered = { bytes: ownBytes(bytes), isStored: false };
    this.#memory.set(digest, remembered);
    await this.#storeRemembered(digest, remembered);
    // Purged meanwhile: a stored manifest that belongs to no repository would be reached by no other purge.
    await repositoryBlobs.restore(repository, members);
  }

  /** Never rejects. */
  async #storeRemembered(digest: Digest, remembered: Remembered): Promise<void> {
    const { policy, capacity, telemetry } = this.#options;
    const { bytes, isStored } = remembered;
    if (isStored || !policy().keepsManifests || !capacity.mayKeep(bytes.length)) return;
    // A request that comes meanwhile need not write it as well.
    remembered.isStored = true;
    try {
      await this.#store(digest, bytes);
      capacity.look();
    } catch (error) {
      remembered.isStored = false;
      telemetry.publish('warning', { message: `Cannot store the manifest ${digest}`, error });
      capacity.refused(error);
    }
  }

  async #store(digest: Digest, bytes: Buffer): Promise<void> {
    const { verification, store } = this.#options;
    if ((await verification.size(digest, undefined)) === bytes.length) return;
    const file = await store.begin();
    try {
      await file.write(bytes, 0);
      await verification.commit(file, { digest, size: bytes.length });
    } catch (error) {
      await file.abort();
      throw error;
    } finally {
      await file.close();
    }
  }
}

/** Members of a manifest whose rows are worth a look at the capacity. An image has about twenty. */
const LARGE_MANIFEST = 1000;

/** A manifest as it is known before its bytes are parsed. */
type ManifestSeen = Pick<MemberRecord, 'digest' | 'mediaType' | 'visibility' | 'transient'>;

interface MembersOptions {
  readonly keepsPlatform: PlatformFilter;
  /** True where the manifest itself is not kept. @default false */
  readonly isTransient?: boolean;
}

/** The manifest and everything that it names: what the repository serves from now on. */
function* membersOf(manifest: OriginManifest, options: MembersOptions): Pieces<MemberRecord[]> {
  const { visibility } = manifest;
  const { keepsPlatform, isTransient = false } = options;
  const marked = (isMarked: boolean) => (isMarked ? { transient: true } : {});
  try {
    const { blobs, manifests } = yield* parseManifest(manifest.bytes, manifest.mediaType);
    const named = yield* mapInPieces(blobs, ({ digest, mediaType, size }): MemberRecord => {
      return { digest, kind: 'blob', mediaType, size, visibility, ...marked(isTransient) };
    });
    const children = yield* mapInPieces(manifests, ({ digest, mediaType, size, platform }): MemberRecord => {
      const isLeft = isTransient || !keepsPlatform(platform);
      const type = isTypeOfManifest(mediaType) ? mediaType : '';
      return { digest, kind: 'manifest', mediaType: type, size, visibility, ...marked(isLeft) };
    });
    return [{ ...memberOf(manifest), ...marked(isTransient) }, ...named, ...children];
  } catch (error) {
    if (!(error instanceof OciError)) throw error;
    // A 502, as the fault is the upstream's and not the client's.
    throw new OciError(
      'MANIFEST_INVALID',
      `${manifest.upstream} sent a manifest that cannot be served: ${error.message}`,
      {
        status: 502,
        cause: error,
      },
    );
  }
}

/** Whether an index gives the media type of its child; otherwise the upstream gives it when the child is fetched. */
function isTypeOfManifest(mediaType: string): boolean {
  return isMediaType(mediaType) && mediaType !== 'application/octet-stream';
}

export function memberOf({ digest, mediaType, size, visibility }: OriginManifestHead): MemberRecord {
  return { digest, kind: 'manifest', mediaType, size, visibility };
}

/** One question is asked for all requests for a reference that have passed as many servers. */
function flightOf(key: string, { hops = 0 }: OriginSource): string {
  return `${hops} ${key}`;
}

function held(member: MemberRecord, bytes: Buffer): ManifestAnswer {
  return {
    digest: member.digest,
    mediaType: member.mediaType,
    size: bytes.length,
    bytes,
    outcome: 'HIT',
    reason: REASONS.stored,
    upstream: undefined,
    checkedAt: undefined,
    warning: undefined,
  };
}

export function fromOrigin(head: OriginManifestHead, bytes: Buffer | undefined): ManifestAnswer {
  const { digest, mediaType, size, upstream } = head;
  const about = {
    outcome: 'MISS',
    reason: REASONS.missing,
    upstream,
    checkedAt: undefined,
    warning: undefined,
  } as const;
  return { digest, mediaType, size, bytes, ...about };
}
