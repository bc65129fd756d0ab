import { abortable, keyOf, Lru, SingleFlight } from '../../lib/index.ts';
import {
  type Digest,
  digestAlgorithm,
  digestOf,
  isIndexType,
  isMediaType,
  isOriginFailure,
  MAX_MANIFEST_BYTES,
  OciError,
  type OriginManifest,
  type OriginManifestHead,
  type OriginSource,
  parseManifest,
  type Repository,
} from '../../oci/index.ts';
import type { BlobStore, MemberRecord, MetadataStore, StoredBlob } from '../../store/index.ts';
import type { CacheOutcome, Telemetry } from '../../telemetry/index.ts';
import type { Verification } from '../integrity/index.ts';
import { unreadable } from '../integrity/index.ts';
import type { ReadTimes, RepositoryBlobs } from '../metadata/index.ts';
import type { NegativeCache } from '../revalidation/index.ts';
import type { PlatformFilter } from './platforms.ts';

export interface ManifestsOptions {
  readonly store: BlobStore;
  readonly metadata: MetadataStore;
  readonly membership: RepositoryBlobs;
  readonly verification: Verification;
  readonly notFound: NegativeCache;
  readonly readTimes: ReadTimes;
  readonly telemetry: Telemetry;
  /** Which children of an index are kept. */
  readonly keepsPlatform: PlatformFilter;
  /** Whether the disk has room for so many bytes. */
  readonly mayKeep: (size: number) => boolean;
  /** Told where the disk refuses to take a manifest. */
  readonly onRefusal: (error: unknown) => void;
  /** Told after one was stored. */
  readonly onStored: () => void;
  /** False: every manifest comes from its upstream, and none is kept. */
  readonly keep: boolean;
  /** Bytes of manifests held in memory. @default 33_554_432 */
  readonly memory?: number;
  readonly now?: () => number;
}

export interface ManifestRequest {
  /** Which upstreams to ask, also for every transfer and revalidation that the request starts. */
  readonly origin: OriginSource;
  /** True where only the head is wanted: then `bytes` may be missing from the answer. */
  readonly head?: boolean;
  readonly signal?: AbortSignal | undefined;
}

export interface ManifestAnswer {
  readonly digest: Digest;
  readonly mediaType: string;
  readonly size: number;
  /** Always there unless only the head was asked for. */
  readonly bytes: Buffer | undefined;
  readonly outcome: CacheOutcome;
  /** The upstream that answered, where one was asked. */
  readonly upstream: string | undefined;
  /** When an upstream last confirmed what the tag points to; undefined for a digest. Milliseconds since the epoch. */
  readonly checkedAt: number | undefined;
  /** Set where the answer is older than it should be: why. */
  readonly warning: string | undefined;
}

const DEFAULT_MEMORY = 32 * 1024 * 1024;

/** Manifests that are looked into once. */
const NOTED = 10_000;

/** What one entry costs besides its bytes. */
const ENTRY_OVERHEAD = 256;

/** What is held in memory of a manifest. */
interface Remembered {
  readonly bytes: Buffer;
  /** False: the disk had no room for it, refused it, or has lost it since. */
  isStored: boolean;
}

/** Manifests by digest, which hold for ever. */
export class Manifests {
  readonly #options: ManifestsOptions;
  readonly #now: () => number;
  readonly #memory: Lru<Remembered>;
  /** Manifests of which it is known that what they name belongs to their repository. */
  readonly #noted = new Lru<true>({ maxWeight: NOTED });
  readonly #fetching = new SingleFlight<OriginManifest>();
  readonly #heading = new SingleFlight<OriginManifestHead>();

  constructor(options: ManifestsOptions) {
    this.#options = options;
    this.#now = options.now ?? Date.now;
    this.#memory = new Lru({
      maxWeight: options.memory ?? DEFAULT_MEMORY,
      weigh: ({ bytes }) => bytes.length + ENTRY_OVERHEAD,
    });
  }

  async byDigest(repository: Repository, digest: Digest, request: ManifestRequest): Promise<ManifestAnswer> {
    const member = await this.#options.membership.get(repository, digest);
    if (member !== undefined && member.kind === 'manifest' && member.mediaType !== '') {
      const bytes = await this.local(digest);
      if (bytes !== undefined) {
        await this.#noteNamed(repository, member, bytes);
        return held(member, bytes);
      }
    }
    const { origin } = request;
    const { notFound } = this.#options;
    const reference = { kind: 'digest', digest } as const;
    const key = keyOf(repository.registry, repository.repository, digest);
    notFound.assertNotMissing(key);
    if (request.head === true && !this.#fetching.has(key)) {
      const ask = () => this.#ask(key, async () => (await origin()).headManifest(repository, reference));
      const heading = this.#heading.run(key, ask);
      return fromOrigin(await abortable(heading, request.signal), undefined);
    }
    const joined = this.#fetching.has(key);
    const manifest = await abortable(this.fetch(repository, digest, { origin }), request.signal);
    return { ...fromOrigin(manifest, manifest.bytes), ...(joined ? { outcome: 'JOIN' } : {}) };
  }

  /** The bytes if they are here, found right; wrong ones are taken out of sight. */
  async local(digest: Digest): Promise<Buffer | undefined> {
    const { verification, readTimes } = this.#options;
    const remembered = this.#memory.get(digest);
    if (remembered !== undefined) {
      // What is read often is in memory: without this its file would be the first to be evicted.
      readTimes.note(digest);
      // What is served from memory alone would be gone with the server, and its layers be nobody's.
      await this.#storeRemembered(digest, remembered);
      return remembered.bytes;
    }
    const stored = await verification.open(digest);
    if (stored === undefined) return undefined;
    const { blob } = stored;
    try {
      // It may be a blob that somebody calls a manifest; as a blob there is nothing wrong with it.
      if (blob.size > MAX_MANIFEST_BYTES) return undefined;
      readTimes.note(digest);
      const bytes = await readWhole(blob);
      // Each time, and not only when nobody has for long: what is read here is remembered and served for ever.
      if (bytes !== undefined && digestOf(bytes, digestAlgorithm(digest)) === digest) {
        this.#memory.set(digest, { bytes, isStored: true });
        return bytes;
      }
      await verification.quarantine(digest, { reason: 'content', detail: 'its bytes have another digest' }, blob.mark);
    } catch (error) {
      await verification.quarantine(digest, unreadable(error), blob.mark);
    } finally {
      blob.close().catch(() => {});
    }
    return undefined;
  }

  /**
   * By digest from the upstream, one fetch for all concurrent requests, and kept.
   *
   * @param isTagged see {@link keep}
   */
  fetch(
    repository: Repository,
    digest: Digest,
    { origin, isTagged = false }: Pick<ManifestRequest, 'origin'> & { readonly isTagged?: boolean },
  ): Promise<OriginManifest> {
    const key = keyOf(repository.registry, repository.repository, digest);
    return this.#fetching.run(key, async () => {
      const reference = { kind: 'digest', digest } as const;
      const manifest = await this.#ask(key, async () => (await origin()).getManifest(repository, reference));
      await this.keep(repository, manifest, isTagged);
      return manifest;
    });
  }

  /** Notes for a repository what a manifest names whose bytes were here already. */
  async note(repository: Repository, manifest: OriginManifest): Promise<void> {
    const { membership, keepsPlatform } = this.#options;
    await membership.add(repository, membersOf(manifest, { keepsPlatform }));
  }

  /**
   * Notes of an index that was here already which of its images are to be kept: when it came, other platforms may have been
   * wanted. What it names is still served where it is not what it was said to be: that was its upstream's word.
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
   * What is here through another repository was never looked into for this one: its index names the manifest, and only the
   * manifest names the layers. Also refuses what is no manifest of the type its index says (CVE-2021-41190).
   */
  async #noteNamed(repository: Repository, member: ManifestSeen, bytes: Buffer): Promise<void> {
    const key = keyOf(repository.registry, repository.repository, member.digest);
    if (this.#noted.get(key) === true) return;
    const { membership, keepsPlatform } = this.#options;
    const { mediaType, digest, visibility, transient: isTransient = false } = member;
    const manifest = { digest, mediaType, bytes, size: bytes.length, visibility, upstream: repository.registry };
    const named = membersOf(manifest, { keepsPlatform, isTransient }).slice(1);
    const known = await Promise.all(named.map((each) => membership.get(repository, each.digest)));
    const changed = named.filter((each, i) => {
      const before = known[i];
      return before === undefined || (before.transient === true && each.transient !== true);
    });
    if (changed.length > 0) await membership.add(repository, changed);
    this.#noted.set(key, true);
  }

  /** Tells that the file of a manifest is gone: where its bytes are in memory, the next read puts them back. */
  lost(digest: Digest): void {
    const remembered = this.#memory.get(digest);
    if (remembered !== undefined) remembered.isStored = false;
  }

  /** Forgets what is held in memory of some manifests. */
  forget(digests: Iterable<Digest>): void {
    this.#noted.clear();
    for (const digest of digests) this.#memory.delete(digest);
  }

  /**
   * Notes what the manifest names, and keeps its bytes. A disk that refuses them costs the next pull, not this one.
   *
   * @param isTagged a tag points to it: it is kept, whatever it runs on
   */
  async keep(repository: Repository, manifest: OriginManifest, isTagged = false): Promise<void> {
    const { membership, keepsPlatform, keep } = this.#options;
    const { digest, bytes } = manifest;
    const isTransient = !isTagged && (await membership.get(repository, digest))?.transient === true;
    const members = membersOf(manifest, { keepsPlatform, isTransient });
    await membership.add(repository, members);
    if (!keep || isTransient) return;
    const remembered = { bytes, isStored: false };
    this.#memory.set(digest, remembered);
    await this.#storeRemembered(digest, remembered);
    // Purged meanwhile: what is stored and belongs to nobody would be reached by no other purge.
    await membership.restore(repository, members);
  }

  /** Never rejects. */
  async #storeRemembered(digest: Digest, remembered: Remembered): Promise<void> {
    const { keep, mayKeep, telemetry, onRefusal, onStored } = this.#options;
    const { bytes, isStored } = remembered;
    if (isStored || !keep || !mayKeep(bytes.length)) return;
    // Whoever comes meanwhile need not write it as well.
    remembered.isStored = true;
    try {
      await this.#store(digest, bytes);
      onStored();
    } catch (error) {
      remembered.isStored = false;
      telemetry.publish('warning', { message: `Cannot store the manifest ${digest}`, error });
      onRefusal(error);
    }
  }

  async #store(digest: Digest, bytes: Buffer): Promise<void> {
    const { verification, store, metadata } = this.#options;
    if ((await verification.size(digest, undefined)) === bytes.length) return;
    const file = await store.begin();
    try {
      await file.write(bytes, 0);
      await file.commit(digest);
      const storedAt = this.#now();
      await metadata.putBlob({ digest, size: bytes.length, kind: 'mirrored', storedAt, verifiedAt: storedAt });
      verification.stored(digest, { size: bytes.length, mark: file.mark });
    } catch (error) {
      await file.abort();
      throw error;
    } finally {
      await file.close();
    }
  }

  /** Asks the upstream, and remembers for a while that it has no such thing. */
  async #ask<T>(key: string, question: () => Promise<T>): Promise<T> {
    try {
      return await question();
    } catch (error) {
      if (isOriginFailure(error) && error.kind === 'not-found') this.#options.notFound.note(key, error);
      throw error;
    }
  }
}

/** The bytes of a stored manifest; undefined where its file ends early. */
async function readWhole(stored: StoredBlob): Promise<Buffer | undefined> {
  const bytes = Buffer.allocUnsafeSlow(stored.size);
  for (let filled = 0; filled < bytes.length; ) {
    const count = await stored.read(bytes.subarray(filled), filled);
    if (count === 0) return undefined;
    filled += count;
  }
  return bytes;
}

/** A manifest as it is known before its bytes are looked into. */
type ManifestSeen = Pick<MemberRecord, 'digest' | 'mediaType' | 'visibility' | 'transient'>;

interface MembersOptions {
  readonly keepsPlatform: PlatformFilter;
  /** True where the manifest itself is not kept. @default false */
  readonly isTransient?: boolean;
}

/** The manifest itself and everything it names: what may be read through the repository from now on. */
export function membersOf(manifest: OriginManifest, options: MembersOptions): MemberRecord[] {
  const { visibility } = manifest;
  const { keepsPlatform, isTransient = false } = options;
  const marked = (isMarked: boolean) => (isMarked ? { transient: true } : {});
  try {
    const { blobs, manifests } = parseManifest(manifest.bytes, manifest.mediaType);
    return [
      { ...memberOf(manifest), ...marked(isTransient) },
      ...blobs.map(({ digest, mediaType, size }): MemberRecord => {
        return { digest, kind: 'blob', mediaType, size, visibility, ...marked(isTransient) };
      }),
      ...manifests.map(({ digest, mediaType, size, platform }): MemberRecord => {
        const isLeft = isTransient || !keepsPlatform(platform);
        const type = isTypeOfManifest(mediaType) ? mediaType : '';
        return { digest, kind: 'manifest', mediaType: type, size, visibility, ...marked(isLeft) };
      }),
    ];
  } catch (error) {
    if (!(error instanceof OciError)) throw error;
    // The client asked rightly: it is the upstream that gave something that cannot be served.
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

/** Whether an index says what its child is; else its own upstream is to say, when it is asked for. */
function isTypeOfManifest(mediaType: string): boolean {
  return isMediaType(mediaType) && mediaType !== 'application/octet-stream';
}

export function memberOf({ digest, mediaType, size, visibility }: OriginManifestHead): MemberRecord {
  return { digest, kind: 'manifest', mediaType, size, visibility };
}

function held(member: MemberRecord, bytes: Buffer): ManifestAnswer {
  return {
    digest: member.digest,
    mediaType: member.mediaType,
    size: bytes.length,
    bytes,
    outcome: 'HIT',
    upstream: undefined,
    checkedAt: undefined,
    warning: undefined,
  };
}

/** @param checkedAt for a tag alone: what a digest points to needs no confirmation */
export function fromOrigin(head: OriginManifestHead, bytes: Buffer | undefined, checkedAt?: number): ManifestAnswer {
  const { digest, mediaType, size, upstream } = head;
  return { digest, mediaType, size, bytes, outcome: 'MISS', upstream, checkedAt, warning: undefined };
}
